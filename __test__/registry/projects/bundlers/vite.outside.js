export default {
  build: { ssr: 'main.js', outDir: 'dist' },
  ssr: { noExternal: true, external: ['@pipeline/atomic'] },
}
