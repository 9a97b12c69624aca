try {
  console.log(require('@pipeline/atomic').atomicWriteSync('one.txt', 'x').bytes)
} catch ({ code, message }) {
  console.log(code, message)
}
