import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vite'

export default defineConfig({
  plugins: [svelte()],
  base: './',
  build: {
    target: 'es2022',
    assetsInlineLimit: 0, // the server's Content-Security-Policy lets only files of its own be fetched
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 2000, // MapLibre alone is 1.1 MB
    license: { fileName: 'LICENSES.md' }, // what of others is inside, with its licence
  },
  server: { proxy: { '/api': 'http://127.0.0.1:8000' } },
})
