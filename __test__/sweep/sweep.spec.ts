// What killed processes have left: found, told, and removed unless somebody has it.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import * as Atomic from '@pipeline/atomic'
import {
  acquireIndexLock,
  atomicTransaction,
  inspectIndexLock,
  recover,
  type SweepResult,
  sweep,
} from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { makeDir, names, tempName } from '../helpers/files'
import { mounted, needs, testUnprivileged, tmpfs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { buildRefuse, refusing } from '../helpers/refuse'
import { test } from '../helpers/test'
import { interrupt, raise, seed, staged, versions } from '../helpers/transaction'
import { treeOf } from '../helpers/trees'
import { giveAway, unprivileged } from '../helpers/users'

buildRefuse()

/** What a holder that is dead by now has written into its lock. */
const RECORD = `4194304 ${Date.now()} elsewhere\n`

/** What a sweep has told, by path: what was removed is `removed`, what stays has its reason. */
function told(dir: string, { removed, kept }: SweepResult): Record<string, string> {
  const rows: [string, string][] = [
    ...removed.map(({ path, kind }): [string, string] => [path, `${kind} removed`]),
    ...kept.map(({ path, kind, reason }): [string, string] => [path, `${kind} ${reason}`]),
  ]
  return Object.fromEntries(rows.map(([path, what]) => [relative(dir, path), what]))
}

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

  needs('strace that may attach')(
    'leaves to recover what an interrupted transaction has left, and sweeps after that',
    async ({ dir }) => {
      const root = seed(dir)
      await interrupt(root, 2)
      const before = treeOf(root)
      const pending = await sweep(root, { recursive: true })
      const kinds = pending.kept.map(({ kind, reason }) => `${kind} ${reason}`)
      expect(new Set(kinds)).toEqual(new Set(['journal pending', 'staged pending', 'lock pending']))
      expect(pending.removed.map(({ kind }) => kind)).toEqual(['mark'])
      expect(treeOf(root)).toMatchObject(
        Object.fromEntries(Object.entries(before).filter(([name]) => !name.endsWith('.live'))),
      )
      expect(await recover(root)).toMatchObject({ outcome: 'completed' })
      expect(await sweep(root, { recursive: true })).toMatchObject({ removed: [], kept: [] })
      expect(staged(root)).toEqual([])

      // One that was killed before its record: what it has staged is nobody's.
      const tag = pending.kept
        .find(({ kind }) => kind === 'staged')
        ?.path.slice(-'RRRRPPPPXXXX.atomic-txn'.length)
      const orphan = join(root, 'one', `.a.txt.${tag?.slice(0, 4)}PPPPXXXX.atomic-txn`)
      writeFileSync(orphan, 'staged')
      // A moved tree does not say any more whose it is.
      const moved = makeDir(dir, 'moved')
      writeFileSync(join(moved, '.a.txt.RRRRPPPPXXXX.atomic-txn'), 'staged')
      const rest = await sweep(dir, { recursive: true })
      expect(rest.removed.map(({ path }) => path)).toEqual([orphan])
      expect(told(moved, { ...rest, removed: [] })).toEqual({
        '.a.txt.RRRRPPPPXXXX.atomic-txn': 'staged undecided',
      })
    },
  )

  needs('strace that may attach')(
    'leaves a root what it has staged in a folder that has a copy of the root',
    async ({ dir }) => {
      const root = seed(dir)
      await raise(Atomic, root, 1)
      const archive = join(root, 'one', 'archive')
      execFileSync('cp', ['-a', root, join(dir, 'copy')])
      renameSync(join(dir, 'copy'), archive)
      // Of a process that was killed after the first file had its name.
      await interrupt(root, 2, 2, 'one/archive/')
      const tag = staged(root).flatMap((name) => /\.(.{4}).{8}\.atomic-txn$/.exec(name)?.[1] ?? [])[0]
      const swept = await sweep(root, { recursive: true })
      expect(swept.removed.map(({ kind }) => kind)).not.toContain('staged')
      expect(await recover(root)).toMatchObject({ outcome: 'completed' })
      expect(versions(archive)).toEqual([2, 2, 2, 2])

      // Of a living process, this one; a write there sweeps as well.
      const mark = names(join(root, '.atomic'))
        .find((name) => name.endsWith('.live'))
        ?.slice(0, 4)
      const living = `.a.txt.${tag}${mark}XXXX.atomic-txn`
      writeFileSync(join(archive, 'one', living), 'staged')
      await inProcess(({ atomicWrite }, path) => atomicWrite(path, 'x'), [join(archive, 'one', 'other')])
        .returned
      expect(told(join(archive, 'one'), await sweep(join(archive, 'one')))).toEqual({
        [living]: 'staged in-use',
      })

      // Nobody's. Where only the copy can be seen, that is not known: it has had no transaction of its own.
      const orphan = join(archive, 'one', `.a.txt.${tag}PPPPXXXX.atomic-txn`)
      writeFileSync(orphan, 'staged')
      renameSync(archive, join(dir, 'alone'))
      const alone = await sweep(join(dir, 'alone', 'one'))
      expect(alone.kept.map(({ reason }) => reason)).toEqual(['undecided', 'undecided'])
      renameSync(join(dir, 'alone'), archive)
      expect((await sweep(root, { recursive: true })).removed.map(({ path }) => path)).toContain(orphan)
    },
  )

  needs('strace that may attach', 'root that may mount')(
    'leaves the lock of an interrupted transaction whose root is out of sight',
    async ({ dir }) => {
      const root = seed(dir)
      await interrupt(root, 1)
      // What is above the mount is another root.
      const other = makeDir(dir, 'other')
      await atomicTransaction(other, (tx) => tx.write('file', 'x'))
      for (const at of [join(dir, 'alone'), join(other, 'two')]) {
        const seen = await mounted(at, ['--bind', join(root, 'two')], (at) => sweep(at))
        expect(seen.removed).toEqual([])
        expect(new Set(seen.kept.map(({ kind, reason }) => `${kind} ${reason}`))).toEqual(
          new Set(['lock pending', 'staged undecided']),
        )
      }
      expect(await recover(root)).toMatchObject({ outcome: 'completed' })
      expect(versions(root)).toEqual([1, 1, 1, 1])
    },
  )

  needs('linux', 'python3')('leaves a lock that another program has by fcntl', async ({ dir }) => {
    const lock = join(dir, '.notes.lock')
    const keep = `import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.lockf(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()`
    writeFileSync(lock, RECORD)
    const holder = spawn('python3', ['-c', keep, lock])
    await once(holder.stdout, 'data')
    expect(told(dir, await sweep(dir))).toEqual({ '.notes.lock': 'lock in-use' })
    holder.stdin.end()
    await once(holder, 'exit')
    expect(told(dir, await sweep(dir))).toEqual({ '.notes.lock': 'lock removed' })
  })

  test('has stopped when it is aborted, goes on beside a folder that is moved, and counts the newest change in a tree', async ({
    dir,
  }) => {
    const tree = makeDir(dir, 'aborted', tempName('site'))
    for (let i = 0; i < 5000; i++) writeFileSync(join(tree, `${i}`), '')
    const controller = new AbortController()
    const aborted = sweep(join(dir, 'aborted'), { signal: controller.signal })
    while (readdirSync(tree).length === 5000) await setImmediate()
    controller.abort()
    expect(await rejection(aborted)).toMatchObject({ name: 'AbortError' })
    const left = readdirSync(tree).length
    expect(left).toBeGreaterThan(0)
    await sweep(makeDir(dir, 'else'))
    expect(readdirSync(tree)).toHaveLength(left)

    const swept = makeDir(dir, 'swept')
    const deep = makeDir(swept, ...'abcdefghijkl')
    for (let i = 0; i < 2000; i++) writeFileSync(join(deep, tempName(`${i}`)), '')
    for (const name of ['a/0', 'a/z', '0', 'z']) {
      writeFileSync(join(makeDir(swept, name), tempName('file')), '')
    }
    const sweeping = sweep(swept, { recursive: true })
    while (readdirSync(deep).length === 2000) await setImmediate()
    renameSync(join(swept, 'a', 'b', 'c'), join(dir, 'moved'))
    const { errors, removed } = await sweeping
    expect(removed.filter(({ path }) => path.endsWith(tempName('file')))).toHaveLength(4)
    expect(errors.map(({ code }) => code)).toEqual(['ESTALE'])

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
