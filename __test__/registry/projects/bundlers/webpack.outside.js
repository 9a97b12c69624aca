export default {
  entry: './main.js',
  mode: 'production',
  target: 'node20',
  output: { filename: 'main.js', module: true },
  experiments: { outputModule: true },
  externals: [/^@pipeline\/atomic/],
  externalsType: 'module-import',
}
