import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { describe, expect, onTestFinished } from 'vitest'
import { makeDir, names } from '../helpers/files'
import {
  holderOf,
  increment,
  outcomeElsewhere,
  readJson,
  untilLockIsWaitedFor,
  writeJson,
} from '../helpers/index-file'
import { needs, OTHER_USER } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'
import { gate, isPending, rejection, turns } from '../helpers/promises'
import { test } from '../helpers/test'
import { NOBODY } from '../helpers/users'

describe('the lock file', () => {
  test('lies beside the index while fn runs, and not longer', async ({ dir, file }) => {
    let during: string[] = []
    await atomicIndexUpdate(file, () => {
      during = names(dir)
      return { n: 1 }
    })
    expect(during).toEqual(['.index.json.lock'])
    expect(names(dir)).toEqual(['index.json'])
  })

  test('lies there for as long as an async fn runs', async ({ file, lock }) => {
    const { open, opened } = gate<object>()
    const { open: enter, opened: entered } = gate()
    const update = atomicIndexUpdate(file, () => {
      enter()
      return opened
    })
    await entered
    await turns()
    expect(existsSync(lock)).toBe(true)
    open({})
    await update
    expect(existsSync(lock)).toBe(false)
  })

  test('lies beside the file that a link leads to, so that all names share it', async ({ dir }) => {
    const [links, data] = [makeDir(dir, 'links'), makeDir(dir, 'data')]
    symlinkSync('../data/real.json', join(links, 'index.json'))
    let during: string[] = []
    await atomicIndexUpdate(join(links, 'index.json'), () => {
      during = names(data)
      return {}
    })
    expect(during).toEqual(['.real.json.lock'])
    expect(names(links)).toEqual(['index.json'])
  })

  test('of a dead process is no lock: the update goes ahead and takes it away', async ({
    dir,
    file,
    lock,
  }) => {
    writeFileSync(lock, '12345')
    utimesSync(lock, 0, 0)
    await atomicIndexUpdate(file, () => ({ n: 1 }), { timeout: 0 })
    expect(names(dir)).toEqual(['index.json'])
  })

  test('is kept apart for two indexes whose names of 255 bytes differ at the end', async ({ dir }) => {
    const [a, b] = ['a', 'b'].map((end) => join(dir, 'x'.repeat(254) + end)) as [string, string]
    const { open, opened } = gate<object>()
    const first = atomicIndexUpdate(a, () => opened)
    await atomicIndexUpdate(b, () => ({}))
    expect(names(dir)).toHaveLength(2)
    open({})
    await first
    expect(names(dir)).toHaveLength(2)
  })

  test('keeps two processes apart that update an index with a name of 255 bytes', async ({ dir }) => {
    const file = join(dir, 'ü'.repeat(127))
    const holder = await holderOf(file)
    const error = await rejection(atomicIndexUpdate(file, increment, { timeout: 50 }))
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_LOCK_TIMEOUT' })
    holder.send('go on')
    await holder.returned
    expect(names(dir)).toHaveLength(1)
  })
})

describe('another process that is inside an update', () => {
  test('is waited for, and both changes are kept', async ({ file }) => {
    writeJson(file, { n: 1 })
    const holder = await holderOf(file)
    const update = atomicIndexUpdate(file, increment)
    await untilLockIsWaitedFor(file)
    await sleep(50)
    holder.send('go on')
    expect((await update).lockWaitMs).toBeGreaterThan(45)
    expect(readJson(file)).toEqual({ n: 3 })
  })

  test('is waited for under every name of the index', async ({ dir, file }) => {
    const link = join(dir, 'link.json')
    symlinkSync('index.json', link)
    await holderOf(link)
    expect(await rejection(atomicIndexUpdate(file, increment, { timeout: 50 }))).toMatchObject({
      code: 'ERR_ATOMIC_LOCK_TIMEOUT',
    })
  })

  test('does not block another index', async ({ dir, file }) => {
    await holderOf(file)
    await atomicIndexUpdate(join(dir, 'other.json'), () => ({}), { timeout: 0 })
    expect(readJson(join(dir, 'other.json'))).toEqual({})
  })

  test('is not waited for longer than the timeout', async ({ file, lock }) => {
    await holderOf(file)
    const start = performance.now()
    const error = await rejection(atomicIndexUpdate(file, increment, { timeout: 300 }))
    const waited = performance.now() - start
    expect(error).toMatchObject({ name: 'Error', code: 'ERR_ATOMIC_LOCK_TIMEOUT', path: file })
    expect(error.message).toContain(`'${file}'`)
    expect(waited).toBeGreaterThanOrEqual(295)
    expect(existsSync(lock)).toBe(true)
  })

  test('is not waited for at all with a timeout of 0', async ({ file }) => {
    const holder = await holderOf(file)
    const patient = atomicIndexUpdate(file, increment)
    const error = await rejection(atomicIndexUpdate(file, increment, { timeout: 0 }))
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_LOCK_TIMEOUT' })
    expect(await isPending(patient, 0)).toBe(true)
    holder.send('go on')
    await patient
    expect(readJson(file)).toEqual({ n: 2 })
  })

  test('is no obstacle to a timeout of 0 when it waited for this one and gave up', async ({ file }) => {
    const { open, opened } = gate<{ n: number }>()
    const update = atomicIndexUpdate(file, () => opened)
    const hasty = inProcess(
      ({ atomicIndexUpdate }, file) =>
        atomicIndexUpdate(file, () => ({}), { timeout: 0 }).catch(({ code }) => code),
      [file],
    )
    expect(await hasty.returned).toBe('ERR_ATOMIC_LOCK_TIMEOUT')
    open({ n: 1 })
    await update
    await atomicIndexUpdate(file, increment, { timeout: 0 })
    expect(readJson(file)).toEqual({ n: 2 })
  })

  test('is waited for as long as it takes with a timeout of Infinity', async ({ file }) => {
    const holder = await holderOf(file)
    const update = atomicIndexUpdate(file, increment, { timeout: Number.POSITIVE_INFINITY })
    await untilLockIsWaitedFor(file)
    expect(await isPending(update, 200)).toBe(true)
    holder.send('go on')
    await update
    expect(readJson(file)).toEqual({ n: 2 })
  })

  test('is waited for by default far longer than a moment', async ({ file }) => {
    const holder = await holderOf(file)
    const update = atomicIndexUpdate(file, increment)
    await rejection(atomicIndexUpdate(file, increment, { timeout: 1500 }))
    expect(await isPending(update, 0)).toBe(true)
    holder.send('go on')
    await update
  })

  test('a call that gave up never happens later', async ({ file }) => {
    const holder = await holderOf(file)
    let called = false
    await rejection(
      atomicIndexUpdate(
        file,
        (index) => {
          called = true
          return index
        },
        { timeout: 50 },
      ),
    )
    holder.send('go on')
    await holder.returned
    await atomicIndexUpdate(file, increment)
    expect(called).toBe(false)
    expect(readJson(file)).toEqual({ n: 2 })
  })
})

describe('the timeout', () => {
  test('also covers the wait for earlier calls of this process', async ({ file }) => {
    const { open, opened } = gate<object>()
    const first = atomicIndexUpdate(file, () => opened)
    const error = await rejection(atomicIndexUpdate(file, increment, { timeout: 50 }))
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_LOCK_TIMEOUT', path: file })
    open({ n: 1 })
    await first
    expect(readJson(file)).toEqual({ n: 1 })
  })

  test('does not cut short an fn that has the lock', async ({ file }) => {
    const slow = async () => {
      await sleep(100)
      return { n: 1 }
    }
    await atomicIndexUpdate(file, slow, { timeout: 0 })
    expect(readJson(file)).toEqual({ n: 1 })
  })

  test('of 0 is enough for any number of indexes at once that no other call uses', async ({ dir }) => {
    for (let round = 0; round < 5; round++) {
      const files = Array.from({ length: 50 }, (_, at) => join(dir, `${round}-${at}.json`))
      await Promise.all(files.map((file) => atomicIndexUpdate(file, () => ({}), { timeout: 0 })))
    }
    expect(names(dir)).toHaveLength(250)
  })

  test('of 0 is not used up by an earlier call that still looks for another file', async ({ dir }) => {
    const deep = 'd/'.repeat(300)
    for (let round = 0; round < 5; round++) {
      const options = { flush: false, timeout: Number.POSITIVE_INFINITY }
      const earlier = atomicIndexUpdate(`${dir}/${round}/${deep}index.json`, () => ({}), options)
      const update = atomicIndexUpdate(join(dir, `${round}.json`), () => ({}), { timeout: 0 })
      await Promise.all([earlier, update])
    }
  })

  test('of a waiting call does not delay those behind it', async ({ file }) => {
    const { open, opened } = gate<object>()
    const first = atomicIndexUpdate(file, () => opened)
    const impatient = rejection(atomicIndexUpdate(file, increment, { timeout: 20 }))
    const patient = atomicIndexUpdate(file, increment)
    expect(await impatient).toMatchObject({ code: 'ERR_ATOMIC_LOCK_TIMEOUT' })
    open({ n: 1 })
    await Promise.all([first, patient])
    expect(readJson(file)).toEqual({ n: 2 })
  })
})

describe('something else where the lock belongs is a clear error that names it, at once', () => {
  const strangers: [what: string, code: string, make: (lock: string) => void][] = [
    ['a folder', 'EISDIR', (lock) => mkdirSync(lock)],
    ['a link', 'ELOOP', (lock) => symlinkSync('elsewhere', lock)],
    ['a link to a file', 'ELOOP', (lock) => symlinkSync('index.json', lock)],
    ['a large file', 'EEXIST', (lock) => writeFileSync(lock, 'x'.repeat(4097))],
    ["another program's text", 'EEXIST', (lock) => writeFileSync(lock, '12345\n')],
    ['a FIFO', 'ERR_ATOMIC_NOT_REGULAR', (lock) => execFileSync('mkfifo', [lock])],
  ]
  test.for(strangers)('%s', async ([, code, make], { dir, file, lock }) => {
    writeJson(file, { n: 1 })
    make(lock)
    const text = code === 'EEXIST' ? readFileSync(lock, 'utf8') : ''
    expect(await outcomeElsewhere(file)).toMatchObject({ code, message: expect.stringContaining(lock) })
    if (code === 'EEXIST') expect(readFileSync(lock, 'utf8')).toBe(text)
    expect(readJson(file)).toEqual({ n: 1 })
    expect(names(dir)).toEqual(['.index.json.lock', 'index.json'])
  })
})

describe('a lock that another program holds by flock(2)', () => {
  needs('flock')('is waited for', async ({ dir }) => {
    const [file, lock] = [join(dir, 'index.json'), join(dir, '.index.json.lock')]
    writeJson(file, { n: 1 })
    const outsider = spawn('flock', [lock, 'sh', '-c', 'echo locked; read line'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    onTestFinished(() => {
      outsider.kill('SIGKILL')
    })
    await once(outsider.stdout, 'data')
    const update = atomicIndexUpdate(file, increment)
    await untilLockIsWaitedFor(file)
    expect(await isPending(update, 100)).toBe(true)
    outsider.stdin.end('go on\n')
    await update
    expect(readJson(file)).toEqual({ n: 2 })
    expect(names(dir)).toEqual(['index.json'])
  })

  needs('flock')('is honoured when it is ours', async ({ dir }) => {
    const [file, lock] = [join(dir, 'index.json'), join(dir, '.index.json.lock')]
    const ours: (number | null)[] = []
    const tryLock = () => spawnSync('flock', ['--nonblock', lock, 'true']).status
    await atomicIndexUpdate(file, () => {
      ours.push(tryLock())
      return {}
    })
    expect(ours).toEqual([1])
    expect(tryLock()).toBe(0)
  })
})

describe('under a strict umask the lock file', () => {
  type Hold = (remote: Remote, file: string) => Promise<unknown>
  const hold: Hold = ({ atomicIndexUpdate, send, receive }, file) =>
    atomicIndexUpdate(file, async () => {
      send('held')
      await receive()
      return { root: true }
    })
  const update = ({ atomicIndexUpdate }: Remote, file: string, timeout: number) =>
    atomicIndexUpdate(file, () => ({ user: true }), { timeout }).then(
      () => 'updated',
      ({ code }) => code,
    )
  const strict = { before: 'umask 077' }

  test('is private in a folder of its own user', async ({ dir, file, lock }) => {
    chmodSync(dir, 0o755)
    const holder = inProcess(hold, [file], strict)
    await holder.next()
    expect(statSync(lock).mode & 0o777).toBe(0o600)
    holder.send('go on')
    await holder.returned
  })

  for (const [whose, owner, mode] of [
    ['another user’s', NOBODY, 0o755],
    ['a group’s', 0, 0o775],
    ['everybody’s', 0, 0o777],
  ] as const) {
    needs(...OTHER_USER)(`is open to others in ${whose} folder`, async ({ dir, file, lock }) => {
      chownSync(dir, owner, NOBODY)
      chmodSync(dir, mode)
      const holder = inProcess(hold, [file], strict)
      await holder.next()
      // Reading is enough to lock.
      expect(statSync(lock).mode & 0o777).toBe(0o644)
      const code = inProcess(update, [file, 0], { uid: NOBODY }).returned
      expect(await code).toBe('ERR_ATOMIC_LOCK_TIMEOUT')
      holder.send('go on')
      await holder.returned
    })
  }

  needs(...OTHER_USER)('of a killed root does not stop others', async ({ dir, file, lock }) => {
    chownSync(dir, NOBODY, NOBODY)
    const holder = inProcess(hold, [file], strict)
    await holder.next()
    holder.kill()
    await holder.exit
    expect(existsSync(lock)).toBe(true)
    expect(await inProcess(update, [file, 1000], { uid: NOBODY }).returned).toBe('updated')
    expect(names(dir)).toEqual(['index.json'])
  })

  needs(...OTHER_USER)('may be closed to others for a moment: they wait', async ({ dir, file, lock }) => {
    chownSync(dir, NOBODY, NOBODY)
    writeFileSync(lock, '', { mode: 0o600 })
    const theirs = inProcess(
      async ({ atomicIndexUpdate, send, receive }, file) => {
        for (let asked = receive(); ; asked = receive()) {
          send('ready')
          await asked
          const update = atomicIndexUpdate(file, () => ({ user: true }), { timeout: 0 })
          send(await update.catch(({ code }) => code))
        }
      },
      [file],
      { uid: NOBODY },
    )
    const next = async () => {
      await theirs.next()
      theirs.send('go on')
      return theirs.next()
    }
    // The moment is a second, which may have passed before the other process comes to it.
    let code: string
    let tries = 0
    do {
      chmodSync(lock, 0o600)
      code = await next()
    } while (code === 'EACCES' && ++tries < 100)
    expect(code).toBe('ERR_ATOMIC_LOCK_TIMEOUT')
    // Not for ever: it stays closed.
    do code = await next()
    while (code === 'ERR_ATOMIC_LOCK_TIMEOUT')
    expect(code).toBe('EACCES')
  })
})
