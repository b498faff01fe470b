// The editor of expressions: CodeMirror with the grammar and the completion of PromQL. This file is loaded when somebody
// opens Explore, after the page is there; until then a plain field takes what is typed (editor.tsx).
//
// It lives in a shadow root: there the library's styles are constructed style sheets, which the page's
// Content-Security-Policy allows, and not <style> elements, which it does not.
import { autocompletion, closeBrackets, closeBracketsKeymap, closeCompletion, completionKeymap, completionStatus, selectedCompletion, startCompletion } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from '@codemirror/commands';
import { bracketMatching, HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { EditorState, Prec, StateEffect, StateField } from '@codemirror/state';
import { Decoration, EditorView, keymap, placeholder, type DecorationSet } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { PromQLExtension } from '@prometheus-io/codemirror-promql';
import { completionClient } from './complete';

export interface EditorOptions {
  parent: HTMLElement;
  text: string;
  label: string;
  placeholder: string;
  onChange: (text: string) => void;
  onRun: () => void;
  onFocus: () => void;
}

export interface Editor {
  text: () => string;
  setText: (text: string) => void;
  insert: (text: string) => void;
  setFault: (range: { from: number; to: number } | undefined) => void;
  focus: () => void;
  select: (from: number, to: number) => void;
  selection: () => { from: number; to: number };
  close: () => void;
}

const theme = EditorView.theme({
  '&': { color: 'var(--ink)', backgroundColor: 'transparent', fontSize: '0.8438rem' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.55', maxHeight: '16rem', overflow: 'auto' },
  '.cm-content': { padding: '0.4rem 0', caretColor: 'var(--accent)' },
  '.cm-line': { padding: '0 0.65rem' },
  '.cm-placeholder': { color: 'var(--ink-3)' },
  '.cm-cursor': { borderLeftColor: 'var(--accent)', borderLeftWidth: '2px' },
  '&.cm-focused .cm-matchingBracket': { backgroundColor: 'var(--accent-soft)', color: 'inherit', outline: '1px solid var(--accent)' },
  '&.cm-focused .cm-nonmatchingBracket': { backgroundColor: 'var(--bad-soft)', color: 'inherit' },
  '.cm-content ::selection': { backgroundColor: 'var(--accent-soft)' },
  '.cm-fault': { textDecoration: 'underline wavy var(--bad) 1.2px', textUnderlineOffset: '0.25em', textDecorationSkipInk: 'none', backgroundColor: 'var(--bad-soft)' },
  '.cm-tooltip': { backgroundColor: 'var(--surface-2)', border: '1px solid var(--line)', borderRadius: '8px', boxShadow: 'var(--shadow)', color: 'var(--ink)', overflow: 'hidden', zIndex: 30 },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--mono)', fontSize: '0.78rem', maxHeight: '17rem', maxWidth: 'min(44rem, 92vw)', padding: '0.25rem' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li': { padding: '0.14rem 0.5rem', borderRadius: '5px', color: 'var(--ink)', display: 'flex', gap: '0.5rem', alignItems: 'baseline' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { background: 'var(--surface-3)', color: 'var(--ink)' },
  '.cm-completionMatchedText': { textDecoration: 'none', color: 'var(--accent-ink)', fontWeight: '600' },
  '.cm-completionLabel': { flex: '1 1 auto', overflow: 'hidden', textOverflow: 'ellipsis' },
  '.cm-completionDetail': { color: 'var(--ink-3)', fontStyle: 'normal', fontFamily: 'var(--font)', fontSize: '0.72rem', marginLeft: 'auto' },
  '.cm-tooltip.cm-completionInfo': { padding: '0.45rem 0.65rem', maxWidth: '22rem', fontFamily: 'var(--font)', fontSize: '0.78rem', lineHeight: '1.45', color: 'var(--ink-2)', marginLeft: '4px' },
});

const colors = syntaxHighlighting(
  HighlightStyle.define([
    { tag: [tags.keyword, tags.modifier, tags.operatorKeyword], color: 'var(--syntax-word)' },
    { tag: [tags.function(tags.variableName)], color: 'var(--syntax-function)' },
    { tag: [tags.string, tags.special(tags.string)], color: 'var(--syntax-text)' },
    { tag: [tags.number, tags.literal], color: 'var(--syntax-number)' },
    { tag: tags.labelName, color: 'var(--syntax-label)' },
    { tag: [tags.operator, tags.compareOperator, tags.arithmeticOperator, tags.logicOperator, tags.bracket, tags.paren, tags.separator], color: 'var(--ink-2)' },
    { tag: tags.comment, color: 'var(--ink-3)', fontStyle: 'italic' },
  ]),
);

const setFaultEffect = StateEffect.define<{ from: number; to: number } | undefined>();

/** The part at fault is underlined until the text changes. */
const fault = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update: (marks, change) => {
    let next = change.docChanged ? Decoration.none : marks;
    for (const effect of change.effects) {
      if (!effect.is(setFaultEffect)) continue;
      const length = change.newDoc.length;
      const range = effect.value;
      // At the end of the text the last character stands for what is missing behind it.
      const from = range === undefined ? 0 : Math.max(0, Math.min(range.from, length - 1));
      const to = range === undefined ? 0 : Math.min(Math.max(range.to, from + 1), length);
      next = range === undefined || to <= from ? Decoration.none : Decoration.set([Decoration.mark({ class: 'cm-fault' }).range(from, to)]);
    }
    return next;
  },
  provide: (field) => EditorView.decorations.from(field),
});

export function openEditor(options: EditorOptions): Editor {
  const root = options.parent.shadowRoot ?? options.parent.attachShadow({ mode: 'open' });
  const promql = new PromQLExtension().activateLinter(false).setComplete({ remote: completionClient, maxMetricsMetadata: 20000 });
  const run = (view: EditorView) => {
    closeCompletion(view);
    options.onRun();
    return true;
  };
  // Enter takes a completion only where a word is half written; behind `sum(x)` operators are on offer, and Enter runs.
  const completes = (state: EditorState) => {
    if (completionStatus(state) !== 'active') return false;
    const word = /[A-Za-z_:][\w:.\-/]*$/.exec(state.sliceDoc(0, state.selection.main.head))?.[0];
    return word !== undefined && selectedCompletion(state)?.label !== word;
  };
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: options.text,
      extensions: [
        history(),
        bracketMatching(),
        closeBrackets(),
        autocompletion({ icons: false, maxRenderedOptions: 60 }),
        promql.asExtension(),
        Prec.highest(
          keymap.of([
            { key: 'Enter', run: (view) => (completes(view.state) ? false : run(view)) },
            { key: 'Mod-Enter', run },
            { key: 'Shift-Enter', run: insertNewlineAndIndent },
            { key: 'Ctrl-Space', run: startCompletion },
            {
              key: 'Escape',
              run: (view) => {
                if (completionStatus(view.state) !== null) return false;
                view.contentDOM.blur();
                return true;
              },
            },
          ]),
        ),
        keymap.of([...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...defaultKeymap.filter((one) => one.key !== 'Mod-Enter')]),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ 'aria-label': options.label, 'aria-multiline': 'true', spellcheck: 'false', autocapitalize: 'off' }),
        placeholder(options.placeholder),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) options.onChange(update.state.doc.toString());
          if (update.focusChanged && update.view.hasFocus) options.onFocus();
        }),
        fault,
        theme,
        colors,
      ],
    }),
  });
  return {
    text: () => view.state.doc.toString(),
    setText: (text) => {
      if (text !== view.state.doc.toString()) view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, selection: { anchor: text.length } });
    },
    insert: (text) => {
      view.dispatch(view.state.replaceSelection(text));
    },
    setFault: (range) => view.dispatch({ effects: setFaultEffect.of(range) }),
    focus: () => view.focus(),
    select: (from, to) => {
      const length = view.state.doc.length;
      view.dispatch({ selection: { anchor: Math.min(from, length), head: Math.min(to, length) }, scrollIntoView: true });
      view.focus();
    },
    selection: () => ({ from: view.state.selection.main.from, to: view.state.selection.main.to }),
    close: () => {
      view.destroy();
      promql.destroy();
    },
  };
}
