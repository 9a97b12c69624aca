// A file that a transaction moves, and what others do to its old name meanwhile.

import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { atomicTransaction, atomicWrite, recover } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
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

  testStrace('stays there if another process has written it since', async ({ dir }) => {
    await prepare(dir)
    const inject = ['renameat2:error=ENOSPC:delay_enter=700000']
    const moving = systemCalls(move, [dir], { trace: ['renameat2'], inject })
    while (!existsSync(join(dir, 'to'))) await sleep(5)
    await atomicWrite(join(dir, 'from'), 'written')
    await moving
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
    const slowly = ['renameat2:delay_enter=700000', 'unlinkat:delay_enter=700000']
    const moving = systemCalls(move, [dir], { trace: ['renameat2', 'unlinkat'], inject: slowly })
    while (!existsSync(to)) await sleep(5)
    await atomicWrite(from, 'written')
    const { returned } = await moving
    expect(returned.files.map(({ action }) => action)).toEqual(['removed', 'renamed', 'written'])
    expect(readdirSync(dir)).toEqual(expect.arrayContaining(['from', 'other', 'to']))
    expect(readFileSync(from, 'utf8')).toBe('written')
    expect(readFileSync(to, 'utf8')).toBe('moved')
    expect(readdirSync(dir).filter((name) => name.startsWith('.from'))).toEqual([])
  },
)

describe('the old name of a file that a killed transaction has moved', () => {
  const testKill = needs('strace that may attach')
  const move = ({ atomicTransaction }: Remote, root: string) =>
    atomicTransaction(root, (tx) => {
      tx.rename('from', 'to')
      tx.write('other', 'new')
    }).then(() => {})
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
    const inject = ['fsync:delay_enter=700000', 'fdatasync:delay_enter=700000']
    const begun = join(dir, '..', `${basename(dir)}-begun`)
    const main = ({ recover }: Remote, root: string, mark: string) => {
      process.getBuiltinModule('node:fs').writeFileSync(mark, '')
      return recover(root)
    }
    const recovering = systemCalls(main, [dir, begun], { trace: ['fsync', 'fdatasync'], inject })
    while (!existsSync(begun)) await sleep(5)
    await sleep(300)
    await atomicWrite(join(dir, 'from'), 'written')
    await recovering
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
      const goes = calls.findIndex(({ args }) => /"from"/.test(args))
      const comes = calls.findIndex(({ name, args }) => name === 'renameat' && /"to"/.test(args))
      expect(comes).toBeGreaterThanOrEqual(0)
      expect(goes).toBeGreaterThan(comes)
      expect(visible(dir)).toEqual(['other', 'to'])
      expect(readFileSync(join(dir, 'to'), 'utf8')).toBe('from')
    },
  )
})
