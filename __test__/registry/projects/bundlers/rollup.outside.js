export default {
  input: 'main.js',
  output: { file: 'dist/main.js', format: 'es' },
  external: [/^@pipeline\/atomic/, /^node:/],
}
