const { join } = require('node:path')
const { atomicIndexUpdate, atomicWrite } = require('@pipeline/atomic')

// Until somebody calls this, the first update does not end. It is kept, or the update would be collected with its lock.
let end

test('an update waits for another one', async () => {
  const path = join(__dirname, 'waiting.json')
  await new Promise((begun) => {
    const work = (index) => {
      begun()
      return new Promise((resolve) => {
        end = () => resolve(index)
      })
    }
    atomicIndexUpdate(path, work, { initial: {} })
  })
  expect(end).toBeInstanceOf(Function)
  atomicIndexUpdate(path, (index) => index)
  // A write gets its place only after all calls before it.
  await atomicWrite(join(__dirname, 'in-line.txt'), '')
})
