import { execFileSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicWrite } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { leftovers, names, tempName } from '../helpers/files'
import { needs } from '../helpers/needs'
import { inProcess } from '../helpers/processes'
import { buildRefuse, refusing } from '../helpers/refuse'
import { test } from '../helpers/test'

buildRefuse()

/** A process that starts afresh and writes `dir/file`: the next one after a kill. */
async function nextProcess(dir: string, before = ''): Promise<void> {
  const writer = inProcess(({ atomicWrite }, path) => atomicWrite(path, 'x'), [join(dir, 'file')], { before })
  expect(await writer.returned).toMatchObject({ written: true })
}

/** Holds the lock of `path` as a live writer does, until it is killed. */
async function holdLock(path: string, ...flags: string[]) {
  const holder = inProcess(
    async ({ require, send, receive }, path, flags) => {
      const { spawn } = require('node:child_process')
      const flock = spawn('flock', [...flags, '--no-fork', path, 'sh', '-c', 'echo locked; exec sleep 600'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      await new Promise((resolve) => flock.stdout.once('data', resolve))
      send('locked')
      await receive()
      flock.kill('SIGKILL')
      await new Promise((resolve) => flock.once('exit', resolve))
    },
    [path, flags],
  )
  await holder.next()
  return async () => {
    holder.send('stop')
    await holder.returned
  }
}

describe('the next process that writes to a folder', () => {
  test('sweeps what killed writers left there, of any file', async ({ dir }) => {
    for (const name of [
      tempName('file'),
      tempName('other.json', 'ZZZZZZZZZZZZ'),
      tempName('漢'),
      tempName('.a.b'),
    ]) {
      writeFileSync(join(dir, name), 'half of it')
    }
    await nextProcess(dir)
    expect(names(dir)).toStrictEqual(['file'])
  })

  test('sweeps when it replaces a file as well', async ({ dir }) => {
    await atomicWrite(join(dir, 'file'), 'old')
    writeFileSync(join(dir, tempName('file')), 'half of it')
    await nextProcess(dir)
    expect(names(dir)).toStrictEqual(['file'])
  })

  needs('linux', 'flock')(
    'leaves the temp file of a living writer alone, and sweeps it once the writer is dead',
    async ({ dir }) => {
      const temp = tempName('file')
      writeFileSync(join(dir, temp), 'half of it')
      const stop = await holdLock(join(dir, temp))
      await nextProcess(dir)
      expect(names(dir)).toStrictEqual([temp, 'file'])
      await stop()
      await nextProcess(dir)
      expect(names(dir)).toStrictEqual(['file'])
    },
  )

  needs('linux', 'flock')(
    'leaves a temp file alone that a reader has under a shared lock',
    async ({ dir }) => {
      const temp = tempName('file')
      writeFileSync(join(dir, temp), 'half of it')
      const stop = await holdLock(join(dir, temp), '--shared')
      await nextProcess(dir)
      expect(names(dir)).toContain(temp)
      await stop()
    },
  )

  needs('linux', 'a C compiler')(
    'leaves temp files alone where there are no locks to tell whose they are',
    async ({ dir }) => {
      const temp = tempName('file')
      writeFileSync(join(dir, temp), 'half of it')
      await nextProcess(dir, refusing({ flock: 'ENOLCK' }))
      expect(names(dir)).toStrictEqual([temp, 'file'])
    },
  )

  test('never touches a file of another pattern', async ({ dir }) => {
    const foreign = [
      '.atomic-tmp',
      '.x.atomic-tmp',
      '.x.abc.atomic-tmp',
      '.x.abcdefghijkl.atomic-tmp~',
      '.x.abcdefghijkl.atomic-tmp.bak',
      '.x.abcdefghijklm.atomic-tmp',
      '.x.abcdefghijk.atomic-tmp',
      '.x.abcdefghijk-.atomic-tmp',
      '.x.abcdefghijkü.atomic-tmp',
      '.x.abcdefghijkl.ATOMIC-TMP',
      '.xabcdefghijkl.atomic-tmp',
      'x.abcdefghijkl.atomic-tmp',
      '.x.abcdefghijkl.tmp',
      '.file.lock',
      'file.backup',
      'file.tmp',
      'file~',
    ].sort()
    for (const name of foreign) writeFileSync(join(dir, name), 'theirs')
    await nextProcess(dir)
    expect(names(dir)).toStrictEqual([...foreign, 'file'].sort())
  })

  test('never touches a link with the name of a temp file', async ({ dir }) => {
    writeFileSync(join(dir, 'precious'), 'x')
    mkdirSync(join(dir, 'folder'))
    symlinkSync('precious', join(dir, tempName('link')))
    symlinkSync('folder', join(dir, tempName('folder')))
    symlinkSync('nowhere', join(dir, tempName('dangling')))
    await nextProcess(dir)
    expect(leftovers(dir)).toHaveLength(3)
    expect(names(dir)).toContain('folder')
    expect(names(dir)).toContain('precious')
  })

  needs('linux')('is not stopped by a FIFO with the name of a temp file, nor touches it', async ({ dir }) => {
    execFileSync('mkfifo', [join(dir, tempName('fifo'))])
    await nextProcess(dir)
    expect(names(dir)).toStrictEqual([tempName('fifo'), 'file'])
  })

  test('does not sweep folders above, below or beside', async ({ dir }) => {
    const far = ['.', 'sub/below', 'beside'].map((folder) => join(dir, folder))
    for (const folder of far) {
      mkdirSync(folder, { recursive: true })
      writeFileSync(join(folder, tempName('file')), 'half of it')
    }
    await nextProcess(join(dir, 'sub'))
    for (const folder of far) expect(names(folder)).toContain(tempName('file'))
  })
})
