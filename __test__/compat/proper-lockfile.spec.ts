// compat/proper-lockfile behaves as that package does.

import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicIndexUpdate, atomicWrite } from '@pipeline/atomic'
import lockfile, {
  check,
  checkSync,
  type LockOptions,
  lock,
  lockSync,
  unlock,
  unlockSync,
} from '@pipeline/atomic/compat/proper-lockfile'
import theirs from 'proper-lockfile'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { inProcess } from '../helpers/processes'
import { rejection, thrown } from '../helpers/promises'
import { test } from '../helpers/test'

describe('proper-lockfile', () => {
  test('a file is locked, checked and unlocked, with the errors of the package', async ({ dir }) => {
    const file = join(dir, 'file')
    expect(await rejection(lock(file))).toMatchObject({ code: 'ENOENT' })
    expect(await rejection(unlock(file, { realpath: false }))).toMatchObject({ code: 'ENOTACQUIRED' })
    writeFileSync(file, '')
    symlinkSync(file, join(dir, 'link'))
    const release = await lockfile(join(dir, 'link'), { stale: 5000, update: 1000, onCompromised() {} })
    expect([await check(file), await check(join(dir, 'link'))]).toEqual([true, true])
    expect(await rejection(lock(file))).toMatchObject({ code: 'ELOCKED', file, cause: { name: 'Error' } })
    // What it protects is written meanwhile, also by this package.
    await atomicWrite(file, 'under the lock')
    await atomicIndexUpdate(`${file}.json`, () => ({}))
    const waiting = lock(file, { retries: { retries: 3, minTimeout: 60_000 } })
    await release()
    await waiting
    expect(await rejection(release())).toMatchObject({ code: 'ERELEASED' })
    await unlock(file)
    expect(await check(file)).toBe(false)
    expect(names(dir)).toEqual(['file', 'file.json', 'link'])
    expect(await rejection(theirs.unlock(file))).toMatchObject({ code: 'ENOTACQUIRED' })
  })

  test('without a promise too, for locks of either kind', async ({ dir }) => {
    const file = join(dir, 'file')
    const fails = (call: () => unknown, error: object) => expect(thrown(call)).toMatchObject(error)
    fails(() => lockSync(file), { code: 'ENOENT' })
    fails(() => checkSync(file), { code: 'ENOENT' })
    fails(() => unlockSync(file, { realpath: false }), { code: 'ENOTACQUIRED' })
    writeFileSync(file, '')
    symlinkSync(file, join(dir, 'link'))
    const release = lockSync(join(dir, 'link'), { stale: 5000, retries: 0 })
    expect([checkSync(file), await check(join(dir, 'link'))]).toEqual([true, true])
    const cause = { code: 'ERR_ATOMIC_LOCK_TIMEOUT' }
    fails(() => lockSync(file, { retries: { retries: 0 } }), { code: 'ELOCKED', file, cause })
    expect(await rejection(lock(file))).toMatchObject({ code: 'ELOCKED', file })
    expect(release()).toBeUndefined()
    fails(release, { code: 'ERELEASED' })
    expect(checkSync(file)).toBe(false)
    const releaseLater = await lock(file)
    expect(checkSync(file)).toBe(true)
    expect(unlockSync(file)).toBeUndefined()
    expect(await rejection(releaseLater())).toMatchObject({ code: 'ERELEASED' })
    lockSync(file)
    await unlock(file)
    for (const call of [lockSync, unlockSync, checkSync]) {
      for (const retries of [1, Number.POSITIVE_INFINITY, { retries: 10 }]) {
        fails(() => call(file, { retries }), { code: 'ESYNC' })
        expect(() => theirs[call.name as 'lockSync'](file, { retries })).toThrow('retries')
      }
    }
    for (const retries of ['5', true, [], {}, { retries: '2' }, { forever: true }, { minTimeout: 1 }]) {
      lockSync(file, { retries } as object)()
    }
    expect(checkSync('anything', { realpath: false, lockfilePath: join(dir, 'none', 'lock') })).toBe(false)
    expect(names(dir)).toEqual(['file', 'link'])
  })

  test('a lock of the package itself is told, with what to do', async ({ dir }) => {
    const file = join(dir, 'file')
    writeFileSync(file, '')
    const release = await theirs.lock(file)
    for (const call of [lock, check]) {
      const message = expect.stringContaining(`Remove that directory`)
      const cause = { code: 'EISDIR' }
      expect(await rejection(call(file, null))).toMatchObject({ code: 'ELOCKED', file, message, cause })
    }
    for (const call of [lockSync, checkSync]) {
      const error = await rejection((async () => call(file, null))())
      expect(error).toMatchObject({ code: 'ELOCKED', file, cause: { code: 'EISDIR' } })
    }
    await release()
    await (await lock(file, null))()
  })

  test('pauses that the package would make are summed up at once, however many', async ({ dir }) => {
    const file = join(dir, 'file')
    writeFileSync(file, '')
    const release = await lock(file)
    const endless = [
      { retries: 1e15, minTimeout: 1, maxTimeout: 1 },
      { retries: 1e15, minTimeout: 1, factor: 1 },
    ].map((retries) => lock(file, { retries }))
    for (const retries of [
      { retries: 2000, minTimeout: 0 },
      { retries: 1e15, minTimeout: 0, maxTimeout: 0 },
      { retries: 3, minTimeout: 1, maxTimeout: 1 },
    ]) {
      expect(await rejection(lock(file, { retries }))).toMatchObject({ code: 'ELOCKED' })
    }
    await release()
    // In any order: the links of their paths are followed by different threads.
    await Promise.all(endless.map(async (locked) => (await locked)()))
  })

  test.for([
    [[1, 2], 3],
    [['1', undefined, -1, Number.NaN, 2], 3],
    [[Number.POSITIVE_INFINITY], 1],
    [{ retries: undefined }, 0],
    // After the pause that passes the limit it tries once more.
    [{ forever: true, minTimeout: 4, maxRetryTime: 9 }, 12],
    [{ retries: 1000, minTimeout: 10, factor: 1, maxRetryTime: 25 }, 30],
    [{ retries: 2, minTimeout: 10, factor: 1, maxRetryTime: 25 }, 20],
    [{ forever: true, minTimeout: 0, maxRetryTime: 5 }, 5],
    [{ retries: 1, minTimeout: 5, maxRetryTime: Number.POSITIVE_INFINITY }, 5],
  ] as const)('with retries of %j at least %d ms are waited', async ([retries, ms], { dir }) => {
    const file = join(dir, 'file')
    writeFileSync(file, '')
    const release = await lock(file)
    const error = await rejection(lock(file, { retries } as LockOptions))
    expect(error).toMatchObject({ code: 'ELOCKED', cause: { code: 'ERR_ATOMIC_LOCK_TIMEOUT' } })
    const [, waited] = /timed out after (\d+) ms/.exec((error.cause as Error).message) ?? []
    expect(Number(waited)).toBeGreaterThanOrEqual(ms)
    await release()
  })

  test('what an error advises is there', async ({ dir }) => {
    const file = join(dir, 'file')
    writeFileSync(file, '')
    const release = await lock(file)
    const { cause } = await rejection(lock(file))
    const { cause: inSync } = thrown(() => lockSync(file)) as Error & { cause: Error }
    for (const [{ message, stack }, advice] of [
      [cause, 'options.retries says how long to wait'],
      [inSync, 'call lock, which waits if options.retries says so'],
    ] as const) {
      expect(message).toContain(`; ${advice}, '`)
      expect(stack).toContain(message)
      expect(`${message}${stack}`).not.toMatch(/options\.timeout|acquireIndexLock,/)
    }
    await release()
  })

  test('what another process has is held until that is killed', async ({ dir }) => {
    const lockfilePath = join(dir, 'a.lock')
    const main = async ({ require, addon, send, receive }: any, lockfilePath: string) => {
      const { lock } = require(`${addon.replace(/index\.js$/, '')}/compat/proper-lockfile.js`)
      await lock('anything', { realpath: false, lockfilePath })
      send('locked')
      await receive()
    }
    const other = inProcess(main, [lockfilePath])
    await other.next()
    const options = { realpath: false, lockfilePath }
    expect(await check('anything', options)).toBe(true)
    const { cause } = await rejection(lock('anything', options))
    expect(cause.holder).toMatchObject({ pid: other.pid })
    const waiting = lock('anything', { ...options, retries: { forever: true } })
    other.kill()
    await (await waiting)()
    expect(await check('anything', options)).toBe(false)
  })
})
