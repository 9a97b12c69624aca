// Run in each runtime: `RUNTIME behaviour.cjs FOLDER REPORT`. Each call of the package once, and what it takes of the runtime: async contexts,
// streams, signals, worker threads, child processes. The report is a JSON array of the checks and what was wrong with each.

const { strictEqual: equal, deepStrictEqual: same, ok } = require('node:assert')
const { AsyncLocalStorage } = require('node:async_hooks')
const { execFile } = require('node:child_process')
const { tracingChannel } = require('node:diagnostics_channel')
const { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } = require('node:fs')
const { join } = require('node:path')
const { Readable } = require('node:stream')
const { pipeline } = require('node:stream/promises')
const { pathToFileURL } = require('node:url')
const { Worker } = require('node:worker_threads')
const atomic = require('@pipeline/atomic')

const [folder = '', report = ''] = process.argv.slice(2)
const at = (...names) => join(folder, ...names)
const read = (...names) => readFileSync(at(...names), 'utf8')
const json = (name) => JSON.parse(read(name))
const errorOf = (promise) =>
  promise.then(
    () => {
      throw new Error('it should have failed')
    },
    (error) => error,
  )
const increment = ({ n }) => ({ n: n + 1 })
const zero = { initial: { n: 0 } }

/** Of a check that hangs, in milliseconds. */
const PATIENCE = 20_000

/** Another process of this runtime, which runs `way` of child.cjs. Deno wants its permissions again. */
function child(way, ...args) {
  const flags = globalThis.Deno ? ['run', '--quiet', '--allow-all'] : []
  return new Promise((resolve) => {
    const command = [...flags, join(__dirname, 'child.cjs'), way, ...args]
    execFile(process.execPath, command, { timeout: PATIENCE }, (error, stdout, stderr) =>
      resolve({ code: error ? (error.code ?? error.signal) : 0, stdout, stderr }),
    )
  })
}

const checks = {
  'all kinds of data and of paths are written': async () => {
    const bytes = new Uint8Array([104, 105])
    const kinds = ['hi', bytes, bytes.buffer, new DataView(bytes.buffer), Buffer.from(bytes)]
    for (const [at_, data] of kinds.entries()) {
      const { bytes, written } = await atomic.atomicWrite(at(`kind-${at_}`), data)
      same({ bytes, written, text: read(`kind-${at_}`) }, { bytes: 2, written: true, text: 'hi' })
    }
    await atomic.atomicWrite(pathToFileURL(at('by-url')), 'url')
    await atomic.atomicWrite(Buffer.from(at('by-buffer')), 'ef', 'hex')
    equal(read('by-url'), 'url')
    same([...readFileSync(at('by-buffer'))], [0xef])
  },
  'a write that fails has an error with code, call and path': async () => {
    const error = await errorOf(atomic.atomicWrite(at('none', 'x'), 'x', { mkdir: false }))
    ok(error instanceof Error)
    equal(error.code, 'ENOENT')
    ok(error.path.includes('none') && error.syscall && error.errno < 0)
  },
  'a wrong argument is a TypeError, and rejects': async () => {
    const error = await errorOf(atomic.atomicWrite(at('wrong'), 1))
    ok(error instanceof TypeError)
    equal(error.code, 'ERR_INVALID_ARG_TYPE')
  },
  'a signal aborts, with its reason': async () => {
    const reason = new Error('mine')
    const early = await errorOf(atomic.atomicWrite(at('aborted'), 'x', { signal: AbortSignal.abort(reason) }))
    same([early.name, early.code, early.cause], ['AbortError', 'ABORT_ERR', reason])
    const controller = new AbortController()
    const lock = await atomic.acquireIndexLock(at('aborted.json'))
    const waiting = errorOf(
      atomic.atomicIndexUpdate(at('aborted.json'), increment, { ...zero, signal: controller.signal }),
    )
    setTimeout(() => controller.abort(reason), 20)
    const late = await waiting
    await lock.release()
    same([late.name, late.code, late.cause], ['AbortError', 'ABORT_ERR', reason])
    ok(!existsSync(at('aborted')))
  },
  'writes to one file keep the order of their calls': async () => {
    await Promise.all(Array.from({ length: 50 }, (_, i) => atomic.atomicWrite(at('ordered'), `${i}`)))
    equal(read('ordered'), '49')
  },
  'five hundred writes at once': async () => {
    mkdirSync(at('many'))
    await Promise.all(Array.from({ length: 500 }, (_, i) => atomic.atomicWrite(at('many', `${i}`), `${i}`)))
    equal(readdirSync(at('many')).length, 500)
  },
  'a call that nobody awaits is completed before the process ends': async () => {
    const { code, stderr } = await child('unawaited', at('unawaited'))
    same(
      { code, text: existsSync(at('unawaited')) && read('unawaited') },
      { code: 0, text: 'unawaited' },
      stderr,
    )
  },
  'atomicWriteSync and readIndexSync': () => {
    equal(atomic.atomicWriteSync(at('sync.json'), '{"n":1}').bytes, 7)
    same(atomic.readIndexSync(at('sync.json')).value, { n: 1 })
    try {
      atomic.atomicWriteSync(at('sync.json'), '', { flag: 'wx' })
    } catch (error) {
      return equal(error.code, 'EEXIST')
    }
    throw new Error('it should have failed')
  },
  'atomicWriteSync in an exit handler': async () => {
    const { code, stderr } = await child('exit-sync', at('exit-sync'))
    same(
      { code, text: existsSync(at('exit-sync')) && read('exit-sync') },
      { code: 0, text: 'exit-sync' },
      stderr,
    )
  },
  'atomicWrite in an exit handler': async () => {
    const { code, stderr } = await child('exit-async', at('exit-async'))
    same(
      { code, text: existsSync(at('exit-async')) && read('exit-async') },
      { code: 0, text: 'exit-async' },
      stderr,
    )
  },
  'updates of an index lose nothing': async () => {
    const path = at('index.json')
    const once = () => atomic.atomicIndexUpdate(path, increment, zero)
    await Promise.all(Array.from({ length: 100 }, once))
    await atomic.atomicIndexUpdate(path, async (index) => increment(await index), zero)
    equal(json('index.json').n, 101)
  },
  'updates from three processes lose nothing': async () => {
    const ran = await Promise.all([1, 2, 3].map(() => child('updates', at('shared.json'))))
    for (const { code, stderr } of ran) equal(code, 0, stderr)
    equal(json('shared.json').n, 60)
  },
  'what the function throws is what the caller catches': async () => {
    const thrown = new RangeError('mine')
    const throws = () => {
      throw thrown
    }
    equal(await errorOf(atomic.atomicIndexUpdate(at('never.json'), throws)), thrown)
    equal(await errorOf(atomic.atomicIndexUpdate(at('never.json'), () => Promise.reject(thrown))), thrown)
    ok(!existsSync(at('never.json')))
  },
  'a function keeps the async context of its call': async () => {
    const storage = new AsyncLocalStorage()
    const seen = []
    await storage.run('context', () =>
      atomic.atomicIndexUpdate(
        at('context.json'),
        (index) => {
          seen.push(storage.getStore())
          return index
        },
        zero,
      ),
    )
    same(seen, ['context'])
  },
  'an update of its own index inside its function is refused': async () => {
    const path = at('nested.json')
    const within = async (index) => {
      await atomic.atomicIndexUpdate(path, increment, { ...zero, timeout: 3000 })
      return index
    }
    equal((await errorOf(atomic.atomicIndexUpdate(path, within, zero))).code, 'ERR_ATOMIC_REENTRANT')
  },
  'patch, read, remove, recover and restore an index': async () => {
    const path = at('patched.json')
    await atomic.atomicIndexPatch(path, { set: { a: 1, b: 2 } }, { backup: true })
    await atomic.atomicIndexPatch(path, { set: { c: 3 }, delete: ['a'] }, { backup: true })
    same((await atomic.readIndex(path)).value, { b: 2, c: 3 })
    await atomic.restoreIndex(path, 0)
    same(json('patched.json'), { a: 1, b: 2 })
    writeFileSync(path, '{')
    equal((await errorOf(atomic.readIndex(path))).code, 'ERR_ATOMIC_CORRUPT_INDEX')
    equal((await atomic.recoverIndex(path)).action, 'restored')
    equal((await atomic.remove(path)).removed, true)
  },
  'an index stays locked over several steps': async () => {
    await atomic.withIndexLock([at('l1.json'), at('l2.json')], async ([one, two]) => {
      await one.write({ n: 1 })
      await two.update(increment, zero)
    })
    const lock = await atomic.acquireIndexLock(at('l1.json'))
    equal((await atomic.inspectIndexLock(at('l1.json'))).locked ?? true, true)
    await lock[Symbol.asyncDispose]()
    same([json('l1.json'), json('l2.json')], [{ n: 1 }, { n: 1 }])
  },
  'an index is watched': async () => {
    await atomic.atomicWrite(at('watched.json'), '{"n":0}')
    const seen = []
    for await (const { value } of atomic.watchIndex(at('watched.json'))) {
      seen.push(value.n)
      if (value.n === 2) break
      atomic.atomicIndexUpdate(at('watched.json'), increment)
    }
    same(seen, [0, 1, 2])
  },
  'lines are appended and read': async () => {
    await Promise.all(['a', 'b'].map((user) => atomic.appendLines(at('log'), [{ user }], { json: true })))
    const users = []
    for await (const { user } of atomic.readLines(at('log'), { json: true })) users.push(user)
    same(users.sort(), ['a', 'b'])
  },
  'many files from an async iterable': async () => {
    async function* entries() {
      for (const name of ['b1', 'b2', 'b3']) yield { path: at(name), data: name }
    }
    equal((await atomic.atomicWriteAll(entries())).length, 3)
    equal(read('b1') + read('b2') + read('b3'), 'b1b2b3')
  },
  'a file piece by piece, and from streams of both kinds': async () => {
    const file = await atomic.AtomicFile.open(at('pieces'))
    await file.write('one ')
    await file.write(new Uint8Array([50]))
    await file.commit()
    equal(read('pieces'), 'one 2')
    const web = await atomic.AtomicFile.open(at('web'))
    // Not that of a Blob in two parts, which hangs in Node.js 20.4, whoever reads it.
    const stream = new ReadableStream({
      start(controller) {
        for (const chunk of ['from ', 'the web']) controller.enqueue(chunk)
        controller.close()
      },
    })
    await stream.pipeTo(web.writable)
    await web.commit()
    equal(read('web'), 'from the web')
  },
  "a pipeline of Node's streams into a file": async () => {
    const node = await atomic.AtomicFile.open(at('node'))
    await pipeline(Readable.from([Buffer.from('from '), Buffer.from('node')]), node.writable)
    await node.commit()
    equal(read('node'), 'from node')
  },
  'a file that is given up leaves nothing': async () => {
    const file = await atomic.AtomicFile.open(at('given-up'))
    await file.write('x')
    await file[Symbol.asyncDispose]()
    ok(!existsSync(at('given-up')))
  },
  'whole directories': async () => {
    const page = (text) => (staging) => writeFileSync(join(staging, 'page'), text)
    await atomic.atomicDirectory(at('site'), page('1'), { fallback: 'rename' })
    await atomic.atomicDirectory(at('site'), page('2'), { fallback: 'rename', keepPrevious: at('before') })
    equal((await atomic.copyDirectoryAtomic(at('site'), at('mirror'))).files, 1)
    same([read('site', 'page'), read('before', 'page'), read('mirror', 'page')], ['2', '1', '2'])
  },
  transactions: async () => {
    const done = await atomic.atomicTransaction(folder, async (tx) => {
      tx.write('t1', '1')
      const updated = tx.update('t.json', increment, zero)
      return updated
    })
    ok(done)
    const open = await atomic.beginTransaction(folder)
    open.write('t2', '2')
    await open.rollback()
    same(await atomic.snapshotRead(folder, ['t1', 't2'], 'utf8'), ['1', null])
    same(await atomic.snapshotReadIndex(folder, ['t.json']), [{ n: 1 }])
    same((await atomic.recover(folder)).files, [])
  },
  'what is left, and what a disk keeps': async () => {
    same((await atomic.sweep(folder, { recursive: true, dryRun: true })).removed, [])
    ok((await atomic.inspectDirectory(folder)).traits.length > 5)
    ok(atomic.stats().writes > 500)
  },
  'calls are published on channels': async () => {
    const { asyncEnd } = tracingChannel('@pipeline/atomic:write')
    const heard = []
    const hear = ({ path }) => heard.push(path)
    asyncEnd.subscribe(hear)
    await atomic.atomicWrite(at('heard'), 'heard')
    asyncEnd.unsubscribe(hear)
    same(heard, [at('heard')])
  },
  'worker threads share queues and locks': async () => {
    await Promise.all(
      [1, 2].map(
        () =>
          new Promise((resolve, reject) => {
            const worker = new Worker(join(__dirname, 'child.cjs'), { argv: ['updates', at('threads.json')] })
            worker.on('error', reject)
            worker.on('exit', resolve)
          }),
      ),
    )
    equal(json('threads.json').n, 40)
  },
  'a worker that is terminated in its calls takes nothing along': async () => {
    // Several times: it matters where in a call it is.
    for (const name of ['e1.json', 'e2.json', 'e3.json', 'e4.json', 'e5.json']) {
      const worker = new Worker(join(__dirname, 'child.cjs'), { argv: ['endless', at(name)] })
      await new Promise((resolve, reject) => {
        worker.on('message', resolve)
        worker.on('error', reject)
      })
      await worker.terminate()
      await atomic.atomicIndexUpdate(at(name), increment, { ...zero, timeout: 3000 })
      ok(json(name).n > 1)
    }
  },
  'the doors of other packages': async () => {
    const writeFileAtomic = require('@pipeline/atomic/compat/write-file-atomic')
    await writeFileAtomic(at('door'), 'door')
    equal(read('door'), 'door')
    const { lock } = require('@pipeline/atomic/compat/proper-lockfile')
    const release = await lock(at('door'))
    await release()
  },
  'an object without the package for stores': async () => {
    const error = await errorOf(atomic.readIndex('s3://bucket/index.json'))
    equal(error.code, 'ERR_ATOMIC_NO_CLOUD')
  },
}

async function main() {
  mkdirSync(folder, { recursive: true })
  const results = []
  for (const [name, check] of Object.entries(checks)) {
    let timer
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error('it hung')), PATIENCE)
    })
    const problem = await Promise.race([Promise.resolve().then(check), late]).then(
      () => '',
      (error) => `${error?.code ?? ''} ${error?.message ?? error}`.trim().slice(0, 300) || 'it failed',
    )
    clearTimeout(timer)
    results.push({ name, problem })
    writeFileSync(report, JSON.stringify(results))
  }
  results.push({ name: 'the end', problem: '' })
  writeFileSync(report, JSON.stringify(results))
}

main()
