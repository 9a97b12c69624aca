// What another process, or a worker thread, does for behaviour.cjs: `child.cjs WAY PATH`.

const { parentPort } = require('node:worker_threads')
const { atomicIndexUpdate, atomicWrite, atomicWriteSync } = require('@pipeline/atomic')

const [way = '', path = ''] = process.argv.slice(2)
const update = () => atomicIndexUpdate(path, ({ n }) => ({ n: n + 1 }), { initial: { n: 0 } })

const ways = {
  unawaited() {
    atomicWrite(path, 'unawaited')
  },
  'exit-sync'() {
    process.on('exit', () => atomicWriteSync(path, 'exit-sync'))
  },
  'exit-async'() {
    process.on('exit', () => {
      atomicWrite(path, 'exit-async')
    })
  },
  async updates() {
    await Promise.all(Array.from({ length: 20 }, update))
  },
  async endless() {
    await update()
    parentPort.postMessage('begun')
    for (;;) await update()
  },
}

ways[way]()
