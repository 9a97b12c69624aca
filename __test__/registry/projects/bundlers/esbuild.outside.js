import { build } from 'esbuild'

await build({
  entryPoints: ['main.js'],
  outfile: 'dist/main.js',
  bundle: true,
  platform: 'node',
  format: 'esm',
  external: ['@pipeline/atomic'],
})
