// A directory is replaced while a file in it is written: no call may succeed whose bytes are in the old one.

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import { AtomicFile, atomicDirectory, atomicIndexUpdate, withIndexLock } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { isDurable, leftovers, names } from '../helpers/files'
import { append, times, together } from '../helpers/group'
import { mounted, needs, testUnprivileged, tmpfs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'
import { rejection, until } from '../helpers/promises'
import { systemCalls } from '../helpers/system-calls'
import { test } from '../helpers/test'
import { plant, treeOf } from '../helpers/trees'
import { giveAway, unprivileged } from '../helpers/users'

const traced = needs('strace that may attach')

/** The old tree away, and `fresh` in its place. A folder `gone` asks for the old one to be removed. */
function swap(dir: string) {
  renameSync(join(dir, 'site'), join(dir, 'old'))
  if (existsSync(join(dir, 'fresh'))) renameSync(join(dir, 'fresh'), join(dir, 'site'))
  if (existsSync(join(dir, 'gone'))) rmSync(join(dir, 'old'), { recursive: true })
}

type Call = 'write' | 'file' | 'batch' | 'update'

/** In another process: `call` of `page`, with a swap during the nth fsync of the call. */
async function during(nth: number, dir: string, call: Call, options: object = {}) {
  const main = (
    { atomicWrite, atomicWriteAll, atomicIndexUpdate, AtomicFile }: Remote,
    page: string,
    call: Call,
    options: object,
  ) => {
    const calls = {
      write: () => atomicWrite(page, 'mine', options),
      batch: () => atomicWriteAll([{ path: page, data: 'mine' }], options),
      update: () =>
        atomicIndexUpdate(page, (index: any) => [...index, 'mine'], { ...options, initial: [] } as object),
      file: async () => {
        const file = await AtomicFile.open(page, options)
        await file.write('mine')
        return file.commit()
      },
    }
    return calls[call]().then(
      (result: any) => ({ result: Array.isArray(result) ? result[0] : result }),
      ({ code, path, committed, message }: any) => ({ error: { code, path, committed }, message }),
    )
  }
  const page = join(dir, 'site', 'page')
  const inode = () => (existsSync(page) ? statSync(page).ino : undefined)
  const before = inode()
  const moments: boolean[] = []
  const { returned } = await systemCalls(main, [page, call, options], {
    trace: ['fsync'],
    inject: [`fsync:signal=SIGSTOP:when=${nth}`],
    env: { UV_THREADPOOL_SIZE: '1' },
    whileStopped() {
      // Another thread that flushes counts by itself.
      if (moments.push(inode() !== before) === 1) swap(dir)
    },
  })
  // The file's own flush went on, or it had its name and its directory was flushed.
  expect(moments[0]).toBe(nth === 2)
  return returned as { result?: any; error?: any; message?: string }
}

const moments = [
  [1, 'before it has its name'],
  [2, 'when it has its name'],
] as const

describe('a write whose directory is replaced', () => {
  for (const [nth, moment] of moments) {
    for (const page of ['old', undefined]) {
      traced(`${moment} goes to the new one: ${page ? 'over a file' : 'a new file'}`, async ({ dir }) => {
        plant(dir, {
          'site/': '',
          'fresh/other': 'fresh',
          ...(page && { 'site/page': page, 'fresh/page': 'fresh' }),
        })
        const { result } = await during(nth, dir, 'write')
        expect(result).toMatchObject({ written: true, durable: isDurable(dir), bytes: 4 })
        expect(treeOf(join(dir, 'site'))).toStrictEqual({ other: 'fresh', page: 'mine' })
        expect(leftovers(dir)).toStrictEqual([])
      })
    }

    traced(`${moment} is refused with wx if the new one has the file`, async ({ dir }) => {
      plant(dir, { 'site/': '', 'fresh/page': 'fresh' })
      const { error } = await during(nth, dir, 'write', { flag: 'wx' })
      expect(error).toStrictEqual({ code: 'EEXIST', path: join(dir, 'site', 'page') })
      expect(treeOf(join(dir, 'site'))).toStrictEqual({ page: 'fresh' })
    })

    traced(`${moment} and there is none now makes it, or without mkdir is ENOENT`, async ({ dir }) => {
      for (const mkdir of [true, false]) {
        const place = join(dir, `${mkdir}`)
        plant(place, { 'site/': '' })
        const { result, error } = await during(nth, place, 'write', { mkdir })
        if (mkdir) expect(result).toMatchObject({ written: true, durable: isDurable(dir) })
        else expect(error).toStrictEqual({ code: 'ENOENT', path: join(place, 'site', 'page') })
        expect(existsSync(join(place, 'site', 'page'))).toBe(mkdir)
      }
    })
  }

  traced('and removed goes to the new one', async ({ dir }) => {
    plant(dir, { 'site/page': 'old', 'fresh/page': 'fresh', 'gone/': '' })
    const { result } = await during(1, dir, 'write')
    expect(result).toMatchObject({ written: true, durable: isDurable(dir), bytes: 4 })
    expect(treeOf(join(dir, 'site'))).toStrictEqual({ page: 'mine' })
  })

  traced('leaves the file of the new one alone with ifChanged, if that holds the bytes', async ({ dir }) => {
    plant(dir, { 'site/': '', 'fresh/page': 'mine' })
    const { result } = await during(2, dir, 'write', { ifChanged: true })
    expect(result).toMatchObject({ written: false, durable: isDurable(dir) })
  })
})

describe('an AtomicFile and a batch whose directory is replaced', () => {
  for (const call of ['file', 'batch'] as const) {
    for (const [nth, moment] of moments) {
      traced(`${moment} are ENOENT, and say what to do: ${call}`, async ({ dir }) => {
        plant(dir, { 'site/page': 'old', 'fresh/page': 'fresh' })
        const { error, message } = await during(nth, dir, call)
        expect(error).toMatchObject({ code: 'ENOENT', path: join(dir, 'site', 'page') })
        expect(message).toContain('its directory was replaced or moved meanwhile: repeat the call')
        expect(treeOf(join(dir, 'site'))).toStrictEqual({ page: 'fresh' })
        expect(leftovers(dir)).toStrictEqual([])
      })
    }
  }

  test('say so also without flush', async ({ dir }) => {
    plant(dir, { 'site/': '', 'fresh/': '' })
    const file = await AtomicFile.open(join(dir, 'site', 'page'), { flush: false })
    swap(dir)
    expect(await rejection(file.commit())).toMatchObject({ code: 'ENOENT' })
  })
})

describe('an update whose directory is replaced', () => {
  const update = (dir: string, body: (run: number) => void = () => {}) => {
    let runs = 0
    return atomicIndexUpdate(
      join(dir, 'site', 'page'),
      (index: any) => {
        body(runs++)
        return [...index, `run ${runs}`]
      },
      { initial: [] },
    )
  }

  const read = (dir: string) => JSON.parse(readFileSync(join(dir, 'site', 'page'), 'utf8'))

  test('while its function runs starts over on what is there now', async ({ dir }) => {
    plant(dir, { 'site/page': '["old"]', 'fresh/page': '["fresh"]' })
    const result = await update(dir, (run) => run === 0 && swap(dir))
    expect(result).toMatchObject({ written: true })
    expect(read(dir)).toStrictEqual(['fresh', 'run 2'])
    expect([names(join(dir, 'site')), names(join(dir, 'old'))]).toStrictEqual([['page'], ['page']])
  })

  test('and removed starts over, also for the calls that share a commit', async ({ dir }) => {
    plant(dir, { 'site/page': '["old"]', 'fresh/page': '["fresh"]', 'gone/': '' })
    const [, failure] = await Promise.all([
      update(dir, (run) => run === 0 && swap(dir)),
      rejection(update(dir, () => expect.fail('no'))),
      update(dir),
    ])
    expect(failure.message).toBe('no')
    expect(read(dir)).toStrictEqual(['fresh', expect.stringMatching(/^run/), expect.stringMatching(/^run/)])
  })

  test('and removed, under a lock, says what to do', async ({ dir }) => {
    plant(dir, { 'site/page': '["old"]', 'fresh/page': '["fresh"]', 'gone/': '' })
    await withIndexLock(join(dir, 'site', 'page'), async (lock) => {
      const failure = await rejection(
        lock.update((index) => {
          swap(dir)
          return [...index, 'mine']
        }),
      )
      expect(failure).toMatchObject({ code: 'ENOENT', message: expect.stringContaining('repeat the call') })
    })
    expect(read(dir)).toStrictEqual(['fresh'])
  })

  test('by one without the index begins with none', async ({ dir }) => {
    plant(dir, { 'site/page': '["old"]', 'fresh/': '' })
    await update(dir, (run) => run === 0 && swap(dir))
    expect(read(dir)).toStrictEqual(['run 2'])
  })

  test('several times over ends in the last', async ({ dir }) => {
    plant(dir, { 'site/page': '["old"]' })
    await update(dir, (run) => {
      if (run > 2) return
      plant(join(dir, 'fresh'), { page: `["fresh ${run}"]` })
      rmSync(join(dir, 'old'), { recursive: true, force: true })
      swap(dir)
    })
    expect(read(dir)).toStrictEqual(['fresh 2', 'run 4'])
  })

  test('that changes nothing is held against the new one too', async ({ dir }) => {
    plant(dir, { 'site/page': '["old"]', 'fresh/page': '["fresh"]' })
    const seen: string[] = []
    const result = await atomicIndexUpdate(join(dir, 'site', 'page'), (index: any) => {
      seen.push(...index)
      if (seen.length === 1) swap(dir)
      return index
    })
    expect(result).toMatchObject({ written: false })
    expect(seen).toStrictEqual(['old', 'fresh'])
  })

  traced('when it has its name starts over', async ({ dir }) => {
    plant(dir, { 'site/page': '["old"]', 'fresh/page': '["fresh"]' })
    const { result } = await during(2, dir, 'update')
    expect(result).toMatchObject({ written: true, durable: isDurable(dir) })
    expect(read(dir)).toStrictEqual(['fresh', 'mine'])
  })

  test('takes all of its group along, in their order', async ({ dir }) => {
    plant(dir, { 'site/page': '["old"]', 'fresh/page': '["fresh"]' })
    const file = join(dir, 'site', 'page')
    const calls = await together(file, () =>
      times(5, (at) =>
        atomicIndexUpdate(file, (index: any) => {
          if (at === 2 && existsSync(join(dir, 'fresh'))) swap(dir)
          return append(`${at}`)(index)
        }),
      ),
    )
    await Promise.all(calls)
    expect(read(dir)).toStrictEqual(['fresh', '0', '1', '2', '3', '4'])
  })

  test('waits for the lock of the new one', async ({ dir }) => {
    plant(dir, { 'site/page': '["old"]', 'fresh/page': '["fresh"]' })
    const holder = inProcess(
      ({ atomicIndexUpdate, send, receive }, file) =>
        atomicIndexUpdate(file, (index: any) => {
          send('held')
          return receive().then(() => [...index, 'holder'])
        }).then(() => {}),
      [join(dir, 'fresh', 'page')],
    )
    await holder.next()
    const mine = update(dir, (run) => run === 0 && swap(dir))
    // It has noticed nothing yet.
    await until(
      () => existsSync(join(dir, 'old')) && readFileSync(join(dir, 'old', 'page'), 'utf8').includes('run 1'),
    )
    holder.send('go on')
    await mine
    expect(read(dir)).toStrictEqual(['fresh', 'holder', 'run 2'])
  })

  test('and is not there any more is ENOENT without mkdir', async ({ dir }) => {
    plant(dir, { 'site/page': '["old"]' })
    const error = await rejection(
      atomicIndexUpdate(
        join(dir, 'site', 'page'),
        (index: any) => {
          swap(dir)
          return [...index, 'lost']
        },
        { mkdir: false },
      ),
    )
    expect(error).toMatchObject({ code: 'ENOENT', path: join(dir, 'site', 'page') })
    expect(error).not.toHaveProperty('committed')
  })
})

describe('atomicDirectory whose parent is replaced while it builds', () => {
  test('is ENOENT, and nothing is left', async ({ dir }) => {
    plant(dir, { 'site/part/page': 'old', 'fresh/part/page': 'fresh' })
    const error = await rejection(
      atomicDirectory(join(dir, 'site', 'part'), (staging) => {
        plant(staging, { page: 'mine' })
        swap(dir)
      }),
    )
    expect(error).toMatchObject({ code: 'ENOENT', path: join(dir, 'site', 'part') })
    expect(treeOf(dir)).toStrictEqual({ 'old/part/page': 'old', 'site/part/page': 'fresh' })
  })
})

describe('no directory was replaced', () => {
  test('when a link on the path is switched: the file is written where the path led at the call', async ({
    dir,
  }) => {
    plant(dir, { 'a/page': '[]', 'b/page': '[]', current: '->a' })
    await atomicIndexUpdate(
      join(dir, 'current', 'page'),
      (index: any) => {
        unlinkSync(join(dir, 'current'))
        symlinkSync('b', join(dir, 'current'))
        return [...index, 'mine']
      },
      { space: 0 },
    )
    expect(treeOf(dir)).toMatchObject({ 'a/page': '["mine"]', 'b/page': '[]' })
  })

  test('when it was renamed and a link on the path leads to its new name', async ({ dir }) => {
    plant(dir, { 'a/page': '[]', current: '->a' })
    let runs = 0
    await atomicIndexUpdate(
      join(dir, 'current', 'page'),
      (index: any) => {
        runs++
        renameSync(join(dir, 'a'), join(dir, 'b'))
        unlinkSync(join(dir, 'current'))
        symlinkSync('b', join(dir, 'current'))
        return [...index, 'mine']
      },
      { space: 0 },
    )
    expect([runs, treeOf(dir)]).toMatchObject([1, { 'b/page': '["mine"]' }])
  })

  testUnprivileged('when it may not be searched any more', async ({ dir }) => {
    plant(dir, { 'closed/site/page': '[]' })
    for (const path of [dir, ...['closed', 'closed/site', 'closed/site/page'].map((name) => join(dir, name))])
      giveAway(path)
    const outcome = await inProcess(
      ({ atomicIndexUpdate, require }, dir) => {
        const closed = `${dir}/closed`
        const { chmodSync } = require('node:fs')
        return atomicIndexUpdate(`${closed}/site/page`, (index: any) => {
          chmodSync(closed, 0)
          return [...index, 'mine']
        }).then(
          ({ written }) => ({ written }),
          ({ code }: any) => ({ code }),
        )
      },
      [dir],
      unprivileged,
    ).returned
    chmodSync(join(dir, 'closed'), 0o700)
    expect(outcome).toStrictEqual({ written: true })
  })

  needs('root that may mount')('when it is on a mount without a path', async ({ dir }) => {
    await mounted(join(dir, 'disk'), tmpfs('1m'), async (disk) => {
      mkdirSync(join(disk, 'below'))
      const outcome = await inProcess(
        ({ atomicWrite, AtomicFile, require }, below) => {
          process.chdir(below)
          require('node:child_process').execFileSync('umount', ['-l', `${below}/..`])
          const opened = AtomicFile.open('./file')
          return Promise.all([atomicWrite('./page', 'mine'), opened.then((file: any) => file.commit())]).then(
            () => require('node:fs').readFileSync('./page', 'utf8'),
            ({ message }: any) => message,
          )
        },
        [join(disk, 'below')],
      ).returned
      expect(outcome).toBe('mine')
      // For `mounted` to unmount.
      execFileSync('mount', [...tmpfs('1m'), disk])
    })
  })
})
