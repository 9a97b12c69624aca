export default {
  input: 'main.js',
  platform: 'node',
  output: { dir: 'dist', format: 'es' },
  moduleTypes: { '.node': 'copy' },
}
