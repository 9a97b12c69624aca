// What an interrupted transaction has left in a copy of its tree, where inodes say nothing, and on a disk that is another device after a
// restart, where they do.

import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { recover } from '@pipeline/atomic'
import { expect, onTestFinished } from 'vitest'
import { DISKS, makeDisk, testOnDisk } from '../helpers/disks'
import { makeDir } from '../helpers/files'
import { mounted, needs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'

const testKill = needs('strace that may attach')

const main = ({ atomicTransaction }: Remote, root: string) =>
  atomicTransaction(root, [
    { rename: 'from', to: 'to' },
    { write: 'other', data: 'new' },
  ]).then(() => {})

/** A transaction that is killed when it has moved a file over one of the same size and the same time, and done nothing else. */
async function interrupt(root: string, size: number) {
  for (const name of ['from', 'to', 'other']) {
    writeFileSync(join(root, name), name.padEnd(size))
    utimesSync(join(root, name), 1_700_000_000, 1_700_000_000)
  }
  const kill = '-e trace=renameat -e inject=renameat:signal=SIGKILL:when=2'
  const child = inProcess(main, [root], { before: `set -- strace -f -qq -o /dev/null ${kill} "$@"` })
  await child.returned.catch(() => {})
  await child.exit
  expect(says(root)).toEqual(['from', 'other'])
}

const says = (root: string) => ['to', 'other'].map((name) => readFileSync(join(root, name), 'utf8').trimEnd())

testKill('a file that was moved before the tree was copied has its new name there', async ({ dir }) => {
  const root = makeDir(dir, 'root')
  await interrupt(root, 10)
  for (const preserveTimestamps of [true, false]) {
    const copy = join(dir, `copy-${preserveTimestamps}`)
    cpSync(root, copy, { recursive: true, preserveTimestamps })
    expect((await recover(copy)).outcome).toBe('completed')
    expect(says(copy)).toEqual(['from', 'new'])
  }
})

for (const kind of DISKS) {
  testOnDisk(kind, 'strace that may attach')(
    `on ${kind} that is another device after a restart it is no copy`,
    async ({ dir }) => {
      const image = join(dir, 'image')
      makeDisk(kind, image)
      const devices: string[] = []
      const attach = () => {
        const device = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim()
        onTestFinished(() => void spawnSync('losetup', ['--detach', device]))
        devices.push(device)
        return device
      }
      const onDevice = (body: (disk: string) => Promise<void>) => mounted(join(dir, 'disk'), [attach()], body)
      // Of files that are longer than those whose old content is looked at.
      await onDevice((disk) => interrupt(disk, 2 << 20))
      await onDevice(async (disk) => {
        expect(await recover(disk)).toMatchObject({ outcome: 'completed' })
        expect(says(disk)).toEqual(['from', 'new'])
      })
      expect(devices[1]).not.toBe(devices[0])
    },
  )
}
