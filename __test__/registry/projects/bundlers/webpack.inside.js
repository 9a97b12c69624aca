export default {
  entry: './main.js',
  mode: 'production',
  target: 'node20',
  output: { filename: 'main.cjs' },
  module: { rules: [{ test: /\.node$/, loader: 'node-loader' }] },
  // The addons of other platforms, and libraries that are not installed, are left out.
  ignoreWarnings: [/Can't resolve/],
}
