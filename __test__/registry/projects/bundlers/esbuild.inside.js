import { build } from 'esbuild'

await build({
  entryPoints: ['main.js'],
  outfile: 'dist/main.js',
  bundle: true,
  platform: 'node',
  format: 'esm',
  loader: { '.node': 'copy' },
  // The package is CommonJS: it asks for modules by `require`.
  banner: {
    js: `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)`,
  },
})
