// What killed processes have left: found, told, and removed unless somebody has it.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { acquireIndexLock, atomicTransaction, inspectIndexLock, sweep } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { makeDir, names, tempName } from '../helpers/files'
import { mounted, needs, testUnprivileged, tmpfs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { buildRefuse, refusing } from '../helpers/refuse'
import { test } from '../helpers/test'
import { giveAway, unprivileged } from '../helpers/users'
import { RECORD, told } from './support'

buildRefuse()

/** Builds a tree, holds the locks of two indexes, and does nothing more. */
const holdAll = async ({ acquireIndexLock, atomicDirectory, require, send }: Remote, dir: string) => {
  const { writeFileSync } = require('node:fs')
  await acquireIndexLock([`${dir}/a.json`, `${dir}/b.json`])
  await atomicDirectory(`${dir}/site`, async (staging: string) => {
    writeFileSync(`${staging}/page`, '12345')
    send(staging)
    await new Promise(() => setInterval(() => {}, 1000))
  })
}

/** How many files are in a folder, if it is there. */
function filesIn(folder: string): number {
  try {
    return readdirSync(folder).length
  } catch {
    return 0
  }
}

/** What `attempt` returns in the end: nothing where the sweep was over before this thread had its turn, as on a busy machine. */
async function inTheMiddle<T>(attempt: (number: number) => Promise<T | undefined>): Promise<T> {
  for (let number = 0; number < 50; number++) {
    const met = await attempt(number)
    if (met !== undefined) return met
  }
  throw new Error('no attempt has met the sweep in the middle')
}

describe('sweep', () => {
  test('removes what nobody has, and tells of all that it finds what it is and why it stays', async ({
    dir,
  }) => {
    const outside = makeDir(dir, 'outside')
    const swept = makeDir(dir, 'swept')
    makeDir(swept, 'sub', '.deep')
    for (const folder of [outside, swept, join(swept, 'sub', '.deep')]) {
      writeFileSync(join(folder, tempName('file')), 'half')
    }
    makeDir(swept, tempName('site', 'TTTTTTTTTTTT'), 'in')
    writeFileSync(join(swept, tempName('site', 'TTTTTTTTTTTT'), 'in', 'page'), '12345')
    makeDir(swept, '.site.OOOOOOOOOOOO.atomic-old')
    for (const [name, text] of [
      ['.dead.json.lock', RECORD],
      ['.waited.json.lock', `${RECORD}${'\0'.repeat(256 - RECORD.length)}`],
      ['.silent.json.lock', ''],
      ['.yarn.lock', '# of another program'],
      ['.numbers.lock', '12 34 two words\n'],
      ['.more.lock', `${RECORD}more`],
      ['.a.txt.LLLLLLLLLLLL.atomic-lost', 'theirs'],
      ['.a.txt.RRRRPPPPXXXX.atomic-txn', 'staged'],
      ['index.json', '{}'],
      ['index.json.backup', '{}'],
      ['index.json.corrupt-20260101T000000000Z', '{'],
      ['log.torn-0123456789abcdef', 'x'],
    ] as const) {
      writeFileSync(join(swept, name), text)
    }
    symlinkSync(outside, join(swept, 'link'))
    symlinkSync(join(swept, 'index.json'), join(swept, tempName('link')))
    symlinkSync(join(swept, 'index.json'), join(swept, '.link.lock'))
    if (process.platform === 'linux') execFileSync('mkfifo', [join(swept, tempName('fifo'))])
    const before = names(swept)
    const holder = await acquireIndexLock(join(swept, 'held.json'))

    const found = {
      [tempName('file')]: 'temp removed',
      [tempName('site', 'TTTTTTTTTTTT')]: 'tree removed',
      '.dead.json.lock': 'lock removed',
      '.waited.json.lock': 'lock removed',
      '.silent.json.lock': 'lock undecided',
      '.held.json.lock': 'lock in-use',
      '.site.OOOOOOOOOOOO.atomic-old': 'previous only-copy',
      '.a.txt.LLLLLLLLLLLL.atomic-lost': 'lost only-copy',
      '.a.txt.RRRRPPPPXXXX.atomic-txn': 'staged undecided',
    }
    const dry = await sweep(swept, { dryRun: true })
    expect(told(swept, dry)).toEqual(found)
    expect(names(swept)).toEqual([...before, '.held.json.lock'].sort())
    expect(dry).toMatchObject({ errors: [], mounts: [], directories: 1 })
    expect(dry.removed.find(({ kind }) => kind === 'tree')).toMatchObject({ size: 5 })
    expect(dry.kept.find(({ reason }) => reason === 'in-use')?.holder).toMatchObject({ pid: process.pid })
    for (const { age, size } of [...dry.removed, ...dry.kept]) {
      expect(age).toBeGreaterThanOrEqual(0)
      expect(age).toBeLessThan(60_000)
      expect(size).toBeLessThan(4096)
    }

    const recent = await sweep(swept, { olderThan: 3_600_000 })
    expect(recent.removed).toEqual([])
    expect(told(swept, recent)).toMatchObject({ [tempName('file')]: 'temp recent' })
    expect(names(swept)).toEqual([...before, '.held.json.lock'].sort())

    const done = await sweep(swept, { recursive: true })
    expect(told(swept, done)).toEqual({
      ...found,
      [join('sub', '.deep', tempName('file'))]: 'temp removed',
    })
    const gone = Object.keys(found).filter((name) => found[name]?.endsWith('removed'))
    expect(names(swept)).toEqual([...before, '.held.json.lock'].filter((name) => !gone.includes(name)).sort())
    expect(names(outside)).toEqual([tempName('file')])
    expect(names(join(swept, 'sub', '.deep'))).toEqual([])
    await holder.release()
  })

  test('leaves alone what a living process has, and removes it when the process is killed', async ({
    dir,
  }) => {
    const holder = inProcess(holdAll, [dir])
    const staging: string = await holder.next()
    const living = await sweep(dir, { recursive: true })
    expect(living.removed).toEqual([])
    expect(living.kept.map(({ kind, reason }) => `${kind} ${reason}`).sort()).toEqual([
      'lock in-use',
      'lock in-use',
      // The guard of the tree.
      'temp in-use',
      'tree in-use',
    ])
    expect(living.kept.find(({ kind }) => kind === 'tree')).toMatchObject({ path: staging, size: 5 })
    const state = await inspectIndexLock(join(dir, 'a.json'))
    expect(state).toEqual({
      held: true,
      lock: join(dir, '.a.json.lock'),
      holder: { pid: holder.pid, host: expect.any(String), since: expect.any(Date) },
    })
    holder.kill()
    await holder.exit
    expect(await inspectIndexLock(join(dir, 'a.json'))).toMatchObject({
      held: false,
      holder: { pid: holder.pid },
    })
    const dead = await sweep(dir)
    expect(dead.kept).toEqual([])
    expect(dead.removed).toHaveLength(4)
    expect(names(dir)).toEqual([])
    expect(await inspectIndexLock(join(dir, 'a.json'))).toEqual({
      held: false,
      lock: join(dir, '.a.json.lock'),
    })
  })

  needs('unshare')('tells the living from the dead across process namespaces', async ({ dir }) => {
    const [there, here] = [makeDir(dir, 'there'), makeDir(dir, 'here')]
    const before = 'set -- unshare --pid --fork --kill-child "$@"'
    const holder = inProcess(holdAll, [there], { before })
    await holder.next()
    const lock = await acquireIndexLock(join(here, 'a.json'))
    writeFileSync(join(here, tempName('file')), 'half')
    const elsewhere = inProcess(async ({ sweep }, here) => [process.pid, await sweep(here)], [here], {
      before,
    })
    const [pid, result] = await elsewhere.returned
    expect(pid).toBe(1)
    expect(told(here, result)).toEqual({
      '.a.json.lock': 'lock in-use',
      [tempName('file')]: 'temp removed',
    })
    await lock.release()
    const living = await sweep(there)
    expect(living.removed).toEqual([])
    expect(living.kept).toHaveLength(4)
    holder.kill()
    await holder.exit
    expect((await sweep(there)).removed).toHaveLength(4)
    expect(names(there)).toEqual([])
  })

  test('has stopped when it is aborted, goes on beside a folder that is moved, and counts the newest change in a tree', async ({
    dir,
  }) => {
    const left = await inTheMiddle(async (attempt) => {
      const tree = makeDir(dir, `aborted-${attempt}`, tempName('site'))
      for (let i = 0; i < 5000; i++) writeFileSync(join(tree, `${i}`), '')
      const controller = new AbortController()
      const aborted = sweep(join(tree, '..'), { signal: controller.signal })
      while (filesIn(tree) === 5000) await setImmediate()
      controller.abort()
      const error = await aborted.catch((error: unknown) => error)
      if (filesIn(tree) === 0) return
      expect(error).toMatchObject({ name: 'AbortError' })
      return { tree, files: filesIn(tree) }
    })
    await sweep(makeDir(dir, 'else'))
    expect(filesIn(left.tree)).toBe(left.files)

    await inTheMiddle(async (attempt) => {
      const swept = makeDir(dir, `swept-${attempt}`)
      const deep = makeDir(swept, ...'abcdefghijkl')
      for (let i = 0; i < 2000; i++) writeFileSync(join(deep, tempName(`${i}`)), '')
      for (const name of ['a/0', 'a/z', '0', 'z']) {
        writeFileSync(join(makeDir(swept, name), tempName('file')), '')
      }
      const sweeping = sweep(swept, { recursive: true })
      while (filesIn(deep) === 2000) await setImmediate()
      renameSync(join(swept, 'a', 'b', 'c'), join(dir, `moved-${attempt}`))
      const { errors, removed } = await sweeping
      if (errors.length === 0) return
      expect(removed.filter(({ path }) => path.endsWith(tempName('file')))).toHaveLength(4)
      expect(errors.map(({ code }) => code)).toEqual(['ESTALE'])
      return true
    })

    const young = makeDir(dir, 'young')
    const page = join(makeDir(young, tempName('site'), 'sub'), 'page')
    const begun = statSync(join(young, tempName('site'))).ctimeMs
    do writeFileSync(page, 'fresh')
    while (statSync(page).ctimeMs < begun + 50)
    const [found] = (await sweep(young, { dryRun: true })).removed
    expect(found?.age).toBeLessThanOrEqual(Date.now() - statSync(page).ctimeMs + 1)
  })

  test('leaves a living process its mark below a root', async ({ dir }) => {
    await atomicTransaction(dir, (tx) => tx.write('file', 'x'))
    expect(told(dir, await sweep(dir))).toEqual({
      [join('.atomic', names(join(dir, '.atomic')).find((name) => name.endsWith('.live')) ?? '')]:
        'mark in-use',
    })
    await atomicTransaction(dir, (tx) => tx.write('file', 'y'))
  })

  needs('root that may mount')('does not enter what is mounted below', async ({ dir }) => {
    await mounted(join(dir, 'mount'), tmpfs('1m'), async (at) => {
      writeFileSync(join(at, tempName('file')), 'half')
      const { mounts, removed } = await sweep(dir, { recursive: true })
      expect([mounts, removed]).toEqual([[at], []])
      expect((await sweep(at)).removed).toHaveLength(1)
    })
  })

  testUnprivileged('tells what it may not look at or remove, and goes on', async ({ dir }) => {
    for (const name of ['closed', 'fixed', 'free']) {
      makeDir(dir, name)
      writeFileSync(join(dir, name, tempName('file')), 'half')
      giveAway(join(dir, name, tempName('file')))
      giveAway(join(dir, name))
    }
    giveAway(dir)
    const sweeper = inProcess(
      async ({ sweep, require }, dir) => {
        const { chmodSync } = require('node:fs')
        chmodSync(`${dir}/closed`, 0)
        chmodSync(`${dir}/fixed`, 0o555)
        const { removed, kept, errors } = await sweep(dir, { recursive: true })
        const { code, path } = errors[0] as NodeJS.ErrnoException
        return {
          removed,
          kept: kept.map(({ error, ...rest }) => ({ ...rest, code: error?.code })),
          code,
          path,
        }
      },
      [dir],
      { ...unprivileged, cwd: '/' },
    )
    expect(await sweeper.returned).toMatchObject({
      removed: [{ path: join(dir, 'free', tempName('file')) }],
      kept: [{ path: join(dir, 'fixed', tempName('file')), reason: 'failed', code: 'EACCES' }],
      code: 'EACCES',
      path: join(dir, 'closed'),
    })
  })

  needs('linux', 'a C compiler')(
    'removes nothing where there are no locks to tell whose it is',
    async ({ dir }) => {
      writeFileSync(join(dir, tempName('file')), 'half')
      writeFileSync(join(dir, '.a.json.lock'), RECORD)
      const sweeper = inProcess(
        async ({ sweep, inspectIndexLock }, dir) => [
          await sweep(dir),
          await inspectIndexLock(`${dir}/a.json`).catch(({ code }) => code),
        ],
        [dir],
        { before: refusing({ flock: 'ENOLCK' }) },
      )
      const [swept, code] = await sweeper.returned
      expect(told(dir, swept)).toEqual({
        [tempName('file')]: 'temp undecided',
        '.a.json.lock': 'lock undecided',
      })
      expect(code).toBe('ERR_ATOMIC_NO_LOCKS')
    },
  )

  test('ends at an abort, and rejects for the directory itself and for wrong arguments', async ({ dir }) => {
    for (let i = 0; i < 2000; i++) writeFileSync(join(dir, tempName(`${i}`)), '')
    const signal = AbortSignal.abort()
    expect(await rejection(sweep(dir, { signal }))).toMatchObject({ name: 'AbortError' })
    expect(names(dir)).toHaveLength(2000)
    expect((await sweep(dir)).removed).toHaveLength(2000)
    expect(names(dir)).toEqual([])
    writeFileSync(join(dir, 'file'), '')
    expect(await rejection(sweep(join(dir, 'file')))).toMatchObject({ code: 'ENOTDIR' })
    expect(await rejection(sweep(join(dir, 'none')))).toMatchObject({
      code: 'ENOENT',
      path: join(dir, 'none'),
    })
    expect(await rejection(sweep('s3://bucket/'))).toMatchObject({ code: 'ERR_ATOMIC_UNSUPPORTED' })
    for (const [options, code] of [
      [{ recursive: 1 }, 'ERR_INVALID_ARG_TYPE'],
      [{ olderThan: '1h' }, 'ERR_INVALID_ARG_TYPE'],
      [{ olderThan: -1 }, 'ERR_INVALID_ARG_VALUE'],
      [{ dryRun: 'no' }, 'ERR_INVALID_ARG_TYPE'],
      [{ signal: {} }, 'ERR_INVALID_ARG_TYPE'],
    ] as const) {
      expect(await rejection(sweep(dir, options as object))).toMatchObject({ name: 'TypeError', code })
    }
  })

  test('follows the directory that it is given, and goes on when one below is moved away', async ({
    dir,
  }) => {
    makeDir(dir, 'real', 'sub')
    writeFileSync(join(dir, 'real', 'sub', tempName('file')), 'half')
    symlinkSync('real', join(dir, 'link'))
    const { removed } = await sweep(join(dir, 'link'), { recursive: true })
    expect(removed.map(({ path }) => path)).toEqual([join(dir, 'link', 'sub', tempName('file'))])
    renameSync(join(dir, 'real'), join(dir, 'elsewhere'))
    mkdirSync(join(dir, 'real'))
    expect((await sweep(join(dir, 'link'))).directories).toBe(1)
  })
})
