// A staged file without a descriptor, on a disk that fails before the flush.

import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { leftovers } from '../helpers/files'
import { ext4, mounted, needs, tmpfs } from '../helpers/needs'
import { inProcess } from '../helpers/processes'

/** Waits for the disk. What it says is not what the test is about. */
const sync = (disk: string) => void spawnSync('sync', ['-f', disk])

/** Has the kernel forget the files of `disk` that nobody keeps open, with their content and their errors. */
function forget(disk: string) {
  for (const name of readdirSync(disk)) {
    spawnSync('dd', [`if=${join(disk, name)}`, 'iflag=nocache', 'count=0'])
  }
  // Twice: what was used a moment ago is passed over once.
  for (const _ of [1, 2]) writeFileSync('/proc/sys/vm/drop_caches', '2')
}

needs('root that may mount a disk')(
  'a write-back that fails while a staged file has no descriptor rejects the batch',
  async ({ dir }) => {
    await mounted(join(dir, 'memory'), tmpfs('64m'), async (memory) => {
      const image = join(memory, 'image')
      const resize = (bytes: number) =>
        execFileSync('mount', ['-o', `remount,size=${Math.ceil(bytes / 4096) * 4096}`, memory])
      await mounted(join(dir, 'disk'), ext4(image, '-O', '^has_journal'), async (disk) => {
        const batch = inProcess(
          async ({ atomicWriteAll, send, receive }, disk) => {
            async function* entries() {
              // More than may have descriptors.
              for (let at = 0; at < 30; at++) yield { path: `${disk}/${at}`, data: 'x' }
              await receive()
              for (let at = 30; at < 60; at++) yield { path: `${disk}/${at}`, data: 'x'.repeat(128 << 10) }
              await receive()
            }
            const onProgress = (done: number) => void (done % 30 === 0 && send(`${done}`))
            return atomicWriteAll(entries(), { onProgress }).then(
              ({ length }) => ({ written: length }),
              ({ code, syscall, entry, committed }) => ({ code, syscall, entry, committed }),
            )
          },
          [disk],
          { before: 'ulimit -n 96' },
        )
        await batch.next()
        sync(disk)
        // There is no room for most of what comes now, and the disk learns that when it is to write it.
        resize(statSync(image).blocks * 512 + (512 << 10))
        batch.send('go on')
        await batch.next()
        sync(disk)
        resize(64 << 20)
        sync(disk)
        forget(disk)
        batch.send('go on')
        const { entry, ...failed } = (await batch.returned) as { entry: number }
        expect(failed).toStrictEqual({ code: 'ENOSPC', syscall: 'fsync' })
        expect(entry).toBeGreaterThanOrEqual(30)
        expect(leftovers(disk)).toStrictEqual([])
      })
    })
  },
)
