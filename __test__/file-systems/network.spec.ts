// Mounts that say that they are network file systems.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  atomicDirectory,
  atomicIndexUpdate,
  atomicTransaction,
  atomicWrite,
  sweep,
  type UpdateOptions,
} from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names, tempName, written } from '../helpers/files'
import { onPoorFs } from '../helpers/fuse'
import { needs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { systemCalls } from '../helpers/system-calls'
import { test } from '../helpers/test'

const testFuse = needs('root that may mount FUSE')

const count = (path: string, options: UpdateOptions = {}) =>
  atomicIndexUpdate(path, ({ count }) => ({ count: count + 1 }), { initial: { count: 0 }, ...options })

describe.each(['sshfs', 'rclone', 's3fs', 'gcsfuse', 'glusterfs'])('fuse.%s', (subtype) => {
  testFuse('an update is refused, says what to do, and leaves nothing', ({ dir }) =>
    onPoorFs(dir, { subtype }, async (at, folder) => {
      const path = join(at, 'index.json')
      for (const options of [{}, { network: 'refuse' } as const]) {
        expect(await rejection(count(path, options))).toMatchObject({
          code: 'ERR_ATOMIC_NETWORK_FS',
          path,
          message: expect.stringMatching(`fuse.${subtype}.*pass { network: 'allow' }`),
        })
      }
      expect(names(folder)).toEqual([])
    }),
  )

  testFuse('a transaction is refused, and leaves nothing', ({ dir }) =>
    onPoorFs(dir, { subtype }, async (at, folder) => {
      const error = await rejection(atomicTransaction(at, [{ write: 'a', data: '' }]))
      expect(error).toMatchObject({ code: 'ERR_ATOMIC_NETWORK_FS', path: at })
      expect(names(folder)).toEqual([])
    }),
  )

  testFuse('a caller may opt in', ({ dir }) =>
    onPoorFs(dir, { subtype }, async (at, folder) => {
      const path = join(at, 'index.json')
      await Promise.all(Array.from({ length: 10 }, () => count(path, { network: 'allow', backup: true })))
      expect(JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8'))).toEqual({ count: 10 })
      expect(names(folder)).not.toContain('.index.json.lock')
    }),
  )

  testFuse('writes work, and nothing is said to be durable', ({ dir }) =>
    onPoorFs(dir, { subtype }, async (at) => {
      expect(await atomicWrite(join(at, 'a'), 'x')).toMatchObject({ written: true, durable: false })
      expect(await atomicDirectory(join(at, 'site'), () => {})).toMatchObject({ durable: false })
    }),
  )
})

describe('what looks left behind on a network file system, and may be another machine’s', () => {
  const staged = [tempName('file'), '.site.abcdefghij08.atomic-tmp']
  const elsewhere = (folder: string) => {
    writeFileSync(join(folder, tempName('file')), 'half')
    mkdirSync(join(folder, '.site.abcdefghij08.atomic-tmp'))
  }

  testFuse('is not removed by a write', ({ dir }) =>
    onPoorFs(dir, { subtype: 'sshfs' }, async (at, folder) => {
      elsewhere(folder)
      await inProcess(
        async ({ atomicWrite, atomicDirectory }: Remote, at) => {
          await atomicWrite(`${at}/a`, 'x')
          await atomicDirectory(`${at}/site`, () => {})
        },
        [at],
      ).returned
      expect(names(folder)).toStrictEqual([...staged, 'a', 'site'].sort())
    }),
  )

  testFuse('is removed by a sweep', ({ dir }) =>
    onPoorFs(dir, { subtype: 'sshfs' }, async (at, folder) => {
      elsewhere(folder)
      expect((await sweep(at)).removed).toHaveLength(2)
      expect(names(folder)).toStrictEqual([])
    }),
  )
})

describe.each(['grpcfuse', 'osxfs', 'vmhgfs-fuse'])('a folder of the host, fuse.%s', (subtype) => {
  testFuse('is not swept by a write, and an index may be there', ({ dir }) =>
    onPoorFs(dir, { subtype }, async (at, folder) => {
      const staged = tempName('file')
      writeFileSync(join(folder, staged), 'half')
      await inProcess(({ atomicWrite }: Remote, at) => atomicWrite(`${at}/a`, 'x').then(() => {}), [at])
        .returned
      await count(join(at, 'index.json'))
      expect(names(folder)).toStrictEqual([staged, 'a', 'index.json'].sort())
      expect((await sweep(at)).removed).toHaveLength(1)
      expect(names(folder)).toStrictEqual(['a', 'index.json'])
    }),
  )
})

testFuse('other FUSE mounts are as any disk', ({ dir }) =>
  onPoorFs(dir, { subtype: 'gocryptfs' }, async (at) => {
    await count(join(at, 'index.json'))
    expect(await atomicWrite(join(at, 'a'), 'x')).toEqual(written(at, 1))
  }),
)

needs('root that may mount FUSE', 'strace that may attach')(
  'the directory is opened by its path under the lock, before the index is',
  ({ dir }) =>
    onPoorFs(dir, { subtype: 'sshfs' }, async (at) => {
      await count(join(at, 'index.json'), { network: 'allow' })
      const update = ({ atomicIndexUpdate }: Remote, path: string) =>
        atomicIndexUpdate(path, () => ({ count: 2 }), { network: 'allow' })
      const { calls } = await systemCalls(update, [join(at, 'index.json')], { trace: ['flock', 'openat'] })
      const steps = calls.flatMap(({ name, args }) => {
        if (name === 'flock') return args.includes('.lock>') && args.includes('LOCK_EX') ? ['lock'] : []
        if (args.includes(`AT_FDCWD`) && args.includes(`"${at}"`)) return ['directory']
        return args.includes('"index.json"') ? ['index'] : []
      })
      expect(steps).toEqual(['directory', 'lock', 'directory', 'index'])
    }),
)

test('network must be a word that exists', async ({ file }) => {
  for (const network of ['yes', true, 1, {}] as any[]) {
    expect(await rejection(count(file, { network }))).toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
      message: expect.stringContaining("options.network' must be 'refuse' or 'allow'"),
    })
  }
})
