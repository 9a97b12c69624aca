import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { atomicWrite } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { written } from '../helpers/files'
import { mounted, needs, tmpfs } from '../helpers/needs'
import { inProcess } from '../helpers/processes'
import { buildRefuse, refusing } from '../helpers/refuse'
import { test } from '../helpers/test'

buildRefuse()

const result = { written: true, bytes: 1, verified: 'cache', atomic: true }

describe('durable', () => {
  needs('a temporary folder on a disk')('is true on a disk', async ({ dir }) => {
    expect(await atomicWrite(join(dir, 'file'), 'x')).toStrictEqual({ ...result, durable: true })
  })

  needs('a temporary folder on a disk')('is true in a new folder on a disk', async ({ dir }) => {
    expect(await atomicWrite(join(dir, 'a', 'b', 'file'), 'x')).toStrictEqual({ ...result, durable: true })
  })

  needs('a temporary folder on a disk')(
    'is true for a file on disk that ifChanged left alone',
    async ({ dir }) => {
      await atomicWrite(join(dir, 'file'), 'x', { flush: false })
      expect(await atomicWrite(join(dir, 'file'), 'x', { ifChanged: true })).toMatchObject({
        written: false,
        durable: true,
      })
    },
  )

  test('is false without flush', async ({ dir }) => {
    for (const folder of ['.', 'new']) {
      expect(await atomicWrite(join(dir, folder, 'file'), 'x', { flush: false })).toMatchObject({
        durable: false,
      })
    }
  })

  needs('root that may mount')('is false on tmpfs', async ({ dir }) => {
    await mounted(join(dir, 'memory'), tmpfs('1m'), async (at) => {
      expect(await atomicWrite(join(at, 'file'), 'x')).toStrictEqual({ ...result, durable: false })
      expect(await atomicWrite(join(at, 'file'), 'x', { ifChanged: true })).toMatchObject({ durable: false })
    })
  })

  needs('root that may mount')('is false on ramfs', async ({ dir }) => {
    await mounted(join(dir, 'memory'), ['-t', 'ramfs', 'ramfs'], async (at) => {
      expect(await atomicWrite(join(at, 'file'), 'x')).toStrictEqual({ ...result, durable: false })
    })
  })

  for (const [options, durable] of [
    ['', true],
    [',volatile', false],
  ] as const) {
    const title = `is ${durable} on an overlay${options ? ' that is mounted volatile' : ' over a disk'}`
    // An overlay is no upper layer of another one.
    const onDisk = ['a temporary folder on a disk', 'a temporary folder that is no overlay'] as const
    needs('root that may mount', ...onDisk)(title, async ({ dir }) => {
      for (const name of ['lower', 'upper', 'work']) mkdirSync(join(dir, name))
      const layers = `lowerdir=${dir}/lower,upperdir=${dir}/upper,workdir=${dir}/work${options}`
      await mounted(join(dir, 'overlay'), ['-t', 'overlay', '-o', layers, 'overlay'], async (at) => {
        expect(await atomicWrite(join(at, 'file'), 'x')).toStrictEqual({ ...result, durable })
        expect(await atomicWrite(join(at, 'a', 'file'), 'x')).toStrictEqual({ ...result, durable })
      })
    })
  }

  needs('root that may mount')('is false on an overlay whose changes go to memory', async ({ dir }) => {
    await mounted(join(dir, 'memory'), tmpfs('4m'), async (memory) => {
      for (const name of ['lower', 'upper', 'work']) mkdirSync(join(memory, name))
      const layers = `lowerdir=${memory}/lower,upperdir=${memory}/upper,workdir=${memory}/work`
      await mounted(join(dir, 'overlay'), ['-t', 'overlay', '-o', layers, 'overlay'], async (at) => {
        expect(await atomicWrite(join(at, 'file'), 'x')).toStrictEqual({ ...result, durable: false })
      })
    })
  })

  needs('a C compiler')('is false where the file system has no fsync', async ({ dir }) => {
    const writer = inProcess(({ atomicWrite }, path) => atomicWrite(path, 'x'), [join(dir, 'file')], {
      before: refusing({ fsync: 'EINVAL' }),
    })
    expect(await writer.returned).toStrictEqual({ ...result, durable: false })
  })
})

describe("verify: 'device'", () => {
  needs('a temporary folder on a disk')('reaches the device on a disk', async ({ dir }) => {
    for (const size of [1, 4096, 5_000_001]) {
      const receipt = await atomicWrite(join(dir, 'file'), Buffer.alloc(size, 1), { verify: 'device' })
      expect(receipt).toStrictEqual({
        written: true,
        bytes: size,
        durable: true,
        verified: 'device',
        atomic: true,
      })
    }
  })

  needs('root that may mount')('says that it only reached the cache on tmpfs', async ({ dir }) => {
    await mounted(join(dir, 'memory'), tmpfs('1m'), async (at) => {
      const receipt = await atomicWrite(join(at, 'file'), Buffer.alloc(10_000, 1), { verify: 'device' })
      expect(receipt).toStrictEqual({
        written: true,
        bytes: 10_000,
        durable: false,
        verified: 'cache',
        atomic: true,
      })
    })
  })

  needs('a temporary folder on a disk')(
    'says that it only reached the cache without flush',
    async ({ dir }) => {
      const receipt = await atomicWrite(join(dir, 'file'), Buffer.alloc(10_000, 1), {
        verify: 'device',
        flush: false,
      })
      expect(receipt).toStrictEqual({
        written: true,
        bytes: 10_000,
        durable: false,
        verified: 'cache',
        atomic: true,
      })
    },
  )

  test('of an empty file succeeds', async ({ dir }) => {
    const receipt = await atomicWrite(join(dir, 'file'), '', { verify: 'device' })
    expect(receipt).toMatchObject(written(dir, 0, { verified: receipt.verified }))
  })
})
