// Builds the bench page on its own, to be served by Traceo's --web.ui-dir.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  base: '/ui/',
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
  build: { outDir: process.env['TRACEO_UI_OUT'] ?? 'dist', emptyOutDir: true, target: 'es2022', modulePreload: { polyfill: false } },
  logLevel: 'error',
});
