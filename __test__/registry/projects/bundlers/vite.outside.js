export default {
  build: { ssr: 'main.js', outDir: 'dist' },
}
