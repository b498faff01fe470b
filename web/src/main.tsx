// Where the page begins.
import { render } from 'preact';
import { App } from './app';
import { keysBegin } from './keys';
import { routerBegin } from './router';
import { clockBegin, themeBegin } from './state';
import './style/tokens.css';
import './style/base.css';
import './style/parts.css';

themeBegin();
routerBegin();
keysBegin();
clockBegin();
render(<App />, document.getElementById('app')!);
