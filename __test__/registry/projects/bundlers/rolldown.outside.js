export default {
  input: 'main.js',
  platform: 'node',
  output: { file: 'dist/main.js', format: 'es' },
  external: [/^@pipeline\/atomic/],
}
