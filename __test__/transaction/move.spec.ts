// A file that a transaction moves, and what others do to its old name meanwhile.

import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { atomicTransaction, atomicWrite, recover } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { onPoorFs } from '../helpers/fuse'
import { needs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'
import { systemCalls } from '../helpers/system-calls'

const visible = (dir: string) => readdirSync(dir).filter((name) => name !== '.atomic')

describe('the old name of a file that was moved, where it cannot be taken away to be looked at', () => {
  const testStrace = needs('strace that may attach')
  const move = async ({ atomicTransaction }: Remote, root: string) => {
    const moving = atomicTransaction(root, (tx) => {
      tx.rename('from', 'to')
      tx.write('other', 'new')
    })
    return moving.then(
      () => 'committed',
      ({ code, committed }) => `${code} ${committed}`,
    )
  }
  const prepare = async (dir: string) => {
    // It makes what all have in common.
    await atomicTransaction(
      dir,
      ['from', 'other'].map((write) => ({ write, data: 'moved' })),
    )
  }

  testStrace('goes all the same on a full disk', async ({ dir }) => {
    await prepare(dir)
    const inject = ['renameat2:error=ENOSPC']
    const { calls } = await systemCalls(move, [dir], { trace: ['renameat2'], inject })
    expect(calls.filter(({ args }) => args.includes('"from"'))).toHaveLength(1)
    expect(visible(dir)).toEqual(['other', 'to'])
  })

  const testNames = needs('root that may mount FUSE', 'strace that may attach')
  testNames('goes all the same where names are too short for that, also in a recovery', async ({ dir }) => {
    const move = ({ atomicTransaction }: Remote, root: string, from: string) =>
      atomicTransaction(root, (tx) => {
        tx.rename(from, 'to')
        tx.write('other', 'new')
      }).then(() => {})
    // The name that it would be taken away by has 25 bytes more.
    const from = 'f'.repeat(30)
    await onPoorFs(dir, { nameMax: 50 }, async (root) => {
      for (const call of ['none', 'renameat', 'unlinkat']) {
        await atomicTransaction(root, [{ write: 'other', data: 'old' }])
        writeFileSync(join(root, from), 'moved')
        // Before the first name, and when the old one is to go.
        const kill = `set -- strace -f -qq -o /dev/null -P ${from} -P other -e trace=${call} -e inject=${call}:signal=SIGKILL:when=1 "$@"`
        const child = inProcess(move, [root, from], call === 'none' ? {} : { before: kill })
        await child.returned.catch(() => {})
        await child.exit
        expect(existsSync(join(root, from))).toBe(call !== 'none')
        expect((await recover(root)).outcome).toBe(call === 'none' ? 'nothing' : 'completed')
        expect(visible(root)).toEqual(['other', 'to'])
        expect(readFileSync(join(root, 'to'), 'utf8')).toBe('moved')
      }
    })
  })

  testStrace('stays there if another process has written it since', async ({ dir }) => {
    await prepare(dir)
    let isWritten = false
    await systemCalls(move, [dir], {
      trace: ['renameat2'],
      inject: ['renameat2:error=ENOSPC:signal=SIGSTOP'],
      async whileStopped() {
        if (isWritten) return
        isWritten = true
        expect(readFileSync(join(dir, 'to'), 'utf8')).toBe('moved')
        await atomicWrite(join(dir, 'from'), 'written')
      },
    })
    expect(isWritten).toBe(true)
    expect(readFileSync(join(dir, 'from'), 'utf8')).toBe('written')
    expect(readFileSync(join(dir, 'to'), 'utf8')).toBe('moved')
  })

  testStrace('fails the call otherwise, and the next one removes it', async ({ dir }) => {
    await prepare(dir)
    const inject = ['renameat2:error=EIO']
    const { returned } = await systemCalls(move, [dir], { trace: ['renameat2'], inject })
    expect(returned).toBe('ERR_ATOMIC_PENDING true')
    expect(visible(dir)).toEqual(['from', 'other', 'to'])
    expect(await recover(dir)).toMatchObject({ outcome: 'completed' })
    expect(visible(dir)).toEqual(['other', 'to'])
  })
})

needs('strace that may attach')(
  'a file that another process writes right before its old name is removed is there afterwards',
  async ({ dir }) => {
    const [from, to] = [join(dir, 'from'), join(dir, 'to')]
    await atomicWrite(from, 'moved')
    const move = ({ atomicTransaction }: Remote, root: string) =>
      atomicTransaction(root, (tx) => {
        tx.rename('from', 'to')
        tx.write('other', '')
      })
    let isWritten = false
    const { returned, calls } = await systemCalls(move, [dir], {
      trace: ['newfstatat', 'renameat2'],
      paths: ['from'],
      inject: ['newfstatat:signal=SIGSTOP'],
      // Between the last look at the old name, which comes right after the new one, and its way to where it is looked at again.
      async whileStopped() {
        if (isWritten || !existsSync(to)) return
        isWritten = true
        await atomicWrite(from, 'written')
      },
    })
    // Away, and back.
    expect(calls.filter(({ name }) => name === 'renameat2')).toHaveLength(2)
    expect(returned.files.map(({ action }) => action)).toEqual(['removed', 'renamed', 'written'])
    expect(readdirSync(dir)).toEqual(expect.arrayContaining(['from', 'other', 'to']))
    expect(readFileSync(from, 'utf8')).toBe('written')
    expect(readFileSync(to, 'utf8')).toBe('moved')
    expect(readdirSync(dir).filter((name) => name.startsWith('.from'))).toEqual([])
  },
)

const move = ({ atomicTransaction }: Remote, root: string) =>
  atomicTransaction(root, (tx) => {
    tx.rename('from', 'to')
    tx.write('other', 'new')
  }).then(() => {})

describe('the old name of a file that a killed transaction has moved', () => {
  const testKill = needs('strace that may attach')
  const killAt = async (call: string, root: string) => {
    await atomicTransaction(
      root,
      ['from', 'to', 'other'].map((write) => ({ write, data: write })),
    )
    const before = `set -- strace -f -qq -o /dev/null -e trace=${call} -e inject=${call}:signal=SIGKILL:when=1 "$@"`
    const child = inProcess(move, [root], { before })
    await child.returned.catch(() => {})
    await child.exit
  }
  const interrupt = async (root: string) => {
    await killAt('renameat2', root)
    expect(readFileSync(join(root, 'to'), 'utf8')).toBe('from')
    expect(existsSync(join(root, 'from'))).toBe(true)
  }

  testKill('stays if another process writes it while recovery flushes', async ({ dir }) => {
    await interrupt(dir)
    let isWritten = false
    await systemCalls(({ recover }: Remote, root: string) => recover(root), [dir], {
      trace: ['fsync', 'fdatasync'],
      inject: ['fsync,fdatasync:signal=SIGSTOP'],
      async whileStopped() {
        if (isWritten) return
        isWritten = true
        await atomicWrite(join(dir, 'from'), 'written')
      },
    })
    expect(isWritten).toBe(true)
    expect(readFileSync(join(dir, 'from'), 'utf8')).toBe('written')
  })

  testKill('stays if the file was moved back and has no other name', async ({ dir }) => {
    await interrupt(dir)
    rmSync(join(dir, 'to'))
    await recover(dir)
    expect(readFileSync(join(dir, 'from'), 'utf8')).toBe('from')
  })

  testKill(
    'goes last in recovery, so the file has a name whenever that is killed as well',
    async ({ dir }) => {
      await killAt('renameat', dir)
      expect(readFileSync(join(dir, 'to'), 'utf8')).toBe('to')
      const main = ({ recover }: Remote, root: string) => recover(root)
      const { calls } = await systemCalls(main, [dir], { trace: ['renameat', 'renameat2', 'unlinkat'] })
      const goes = calls.findIndex(({ args, result }) => /"from"/.test(args) && result === '0')
      const comes = calls.findIndex(({ name, args }) => name === 'renameat' && /"to"/.test(args))
      expect(comes).toBeGreaterThanOrEqual(0)
      expect(goes).toBeGreaterThan(comes)
      expect(visible(dir)).toEqual(['other', 'to'])
      expect(readFileSync(join(dir, 'to'), 'utf8')).toBe('from')
    },
  )
})

describe('what another program has written right before the old name of a moved file is taken away', () => {
  const testKill = needs('strace that may attach')
  const recovering = ({ recover }: Remote, root: string) => recover(root).then(() => {})
  const text = (dir: string, name: string) => readFileSync(join(dir, name), 'utf8')
  const prepare = (dir: string) =>
    atomicTransaction(
      dir,
      ['from', 'to', 'other'].map((write) => ({ write, data: write === 'from' ? 'moved' : 'old' })),
    )
  const killAt = (main: typeof move, dir: string, strace: string) => {
    const before = `set -- strace -f -qq -o /dev/null ${strace} "$@"`
    const child = inProcess(main, [dir], { before })
    return child.returned.catch(() => {}).then(() => child.exit)
  }
  /** The process is killed when it is about to give it back, in the `when`th rename of that name. */
  const killWithTheirs = async (main: typeof move, dir: string, when: number) => {
    const theirs = join(dir, 'theirs')
    writeFileSync(theirs, 'written')
    const killed = await systemCalls(main, [dir], {
      trace: ['newfstatat', 'renameat2'],
      paths: ['from'],
      inject: ['newfstatat:signal=SIGSTOP', `renameat2:signal=SIGKILL:when=${when}`],
      // The old name is looked at right after that.
      whileStopped() {
        if (existsSync(theirs) && text(dir, 'to') === 'moved') renameSync(theirs, join(dir, 'from'))
      },
    }).catch(({ message }: Error) => message)
    expect(killed).toMatch(/SIGKILL/)
    const away = visible(dir).filter((name) => /^\.from\..*\.atomic-txn$/.test(name))
    expect(away.map((name) => text(dir, name))).toEqual(['written'])
    expect(existsSync(join(dir, 'from'))).toBe(false)
  }
  const expectBoth = (dir: string) => {
    expect(visible(dir)).toEqual(['from', 'other', 'to'])
    expect([text(dir, 'from'), text(dir, 'to')]).toEqual(['written', 'moved'])
  }

  testKill('is there again when a killed transaction was recovered', async ({ dir }) => {
    await prepare(dir)
    await killWithTheirs(move, dir, 2)
    const { outcome, files } = await recover(dir)
    expect(outcome).toBe('completed')
    expect(files.find(({ path }) => path === 'from')?.action).toBe('superseded')
    expectBoth(dir)
  })

  testKill('is there again when a killed recovery was repeated', async ({ dir }) => {
    await prepare(dir)
    await killAt(move, dir, '-P to -e trace=renameat -e inject=renameat:signal=SIGKILL')
    expect(text(dir, 'from')).toBe('moved')
    await killWithTheirs(recovering, dir, 2)
    await recover(dir)
    expectBoth(dir)
  })

  testKill('is there again when the recovery gives up', async ({ dir }) => {
    await prepare(dir)
    await killWithTheirs(move, dir, 2)
    const main = ({ recover }: Remote, root: string) => recover(root, { giveUp: true })
    const inject = ['renameat2:error=EIO:when=1']
    const env = { UV_THREADPOOL_SIZE: '1' }
    const { returned } = await systemCalls(main, [dir], { trace: ['renameat2'], inject, env })
    expect(returned.outcome).toBe('given-up')
    expectBoth(dir)
  })

  testKill('is set aside if somebody has taken the name by then', async ({ dir }) => {
    await prepare(dir)
    await killWithTheirs(move, dir, 2)
    writeFileSync(join(dir, 'from'), 'a third')
    const { files } = await recover(dir)
    const lost = visible(dir).filter((name) => /^\.from\..*\.atomic-lost$/.test(name))
    expect(lost.map((name) => text(dir, name))).toEqual(['written'])
    expect(files.find(({ path }) => path === 'from')?.kept).toBe(lost[0])
    expect(visible(dir)).toEqual([...lost, 'from', 'other', 'to'])
    expect(text(dir, 'from')).toBe('a third')
  })

  testKill('is told from what was moved, which goes', async ({ dir }) => {
    const killAtUnlink = async () => {
      await prepare(dir)
      const kill = '-e trace=unlinkat -e inject=unlinkat:signal=SIGKILL:when=2'
      await killAt(move, dir, kill)
      expect(visible(dir).some((name) => name.startsWith('.from.'))).toBe(true)
      expect(existsSync(join(dir, 'from'))).toBe(false)
    }
    await killAtUnlink()
    await recover(dir)
    expect(visible(dir)).toEqual(['other', 'to'])
    await killAtUnlink()
    const write = ({ atomicWrite }: Remote, file: string) => atomicWrite(file, 'another call').then(() => {})
    await inProcess(write, [join(dir, 'other')]).returned
    expect(visible(dir)).toEqual(['other', 'to'])
    await killAtUnlink()
    appendFileSync(join(dir, 'to'), ' and appended to')
    await recover(dir)
    expect(visible(dir)).toEqual(['other', 'to'])
    await killAtUnlink()
    writeFileSync(join(dir, 'from'), 'written')
    await recover(dir)
    expectBoth(dir)
  })
})
