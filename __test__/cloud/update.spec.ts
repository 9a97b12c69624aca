// Updates of an index in a store: one group commit with those of files, over the peer's read and replaceIf.

import { describe, expect } from 'vitest'
import { test } from '../helpers/cloud'

describe('an update of an object', () => {
  test('reads, calls the function, replaces what was read, and says what was done', async ({ project }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicIndexUpdate, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      const options = { initial: { n: 0 }, endpoint: 'http://localhost', maxAttempts: 7, backup: true }
      const made = await atomicIndexUpdate('s3://b/i', ({ n }) => ({ n: n + 1 }), options)
      const changed = await atomicIndexUpdate(new URL('s3://b/i'), (index: any) => ({ n: index.n + 1 }))
      const [, url, { signal, timeout, ...given }] = fake.calls[0]
      return {
        made,
        changed,
        text: fake.objects.get('s3://b/i').text,
        url,
        given,
        timeout,
        aborted: signal.aborted,
      }
    })
    const result = {
      written: true,
      bytes: 12,
      atomic: true,
      durable: true,
      verified: 'checksum',
      attempts: 1,
      conflicts: 0,
      recovered: false,
      lockWaitMs: expect.any(Number),
      batchSize: 1,
    }
    expect(seen).toEqual({
      made: { ...result, version: 'v1' },
      changed: { ...result, version: 'v2' },
      text: '{\n  "n": 2\n}',
      url: 's3://b/i',
      given: { endpoint: 'http://localhost', maxAttempts: 7, backup: true },
      timeout: expect.any(Number),
      aborted: false,
    })
    expect(seen.timeout).toBeGreaterThan(20_000)
    expect(seen.timeout).toBeLessThanOrEqual(30_000)
  })

  test('is checked by a schema, published on a channel and counted, as one of a file is', async ({
    project,
  }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicIndexUpdate, stats, require }) => {
      const { tracingChannel } = require('node:diagnostics_channel')
      const heard: unknown[] = []
      const asyncEnd = ({ path, error }: any) => heard.push([path, error?.code])
      tracingChannel('@pipeline/atomic:update').subscribe({ asyncEnd } as never)
      const validate = (value: any) =>
        typeof value.n === 'number' ? { value } : { issues: [{ message: 'no number', path: ['n'] }] }
      const schema = { '~standard': { version: 1, vendor: 'spec', validate } } as never
      const update = (n: unknown, options = {}) =>
        atomicIndexUpdate('s3://b/i', () => ({ n }), { schema, initial: { n: 0 }, ...options })
      await update(1)
      const { code, issues } = await update('two').catch((error) => error)
      const codec = { parse: JSON.parse, stringify: JSON.stringify } as never
      const refused = await update(3, { codec }).catch((error) => error)
      const { fake } = require('@pipeline/atomic-cloud')
      return {
        code,
        issues,
        refused: refused.code,
        heard,
        text: fake.objects.get('s3://b/i').text,
        stats: stats(),
      }
    })
    expect(seen).toMatchObject({
      code: 'ERR_ATOMIC_SCHEMA',
      issues: [{ message: 'no number' }],
      refused: 'ERR_ATOMIC_UNSUPPORTED',
      heard: [
        ['s3://b/i', null],
        ['s3://b/i', 'ERR_ATOMIC_SCHEMA'],
        ['s3://b/i', 'ERR_ATOMIC_UNSUPPORTED'],
      ],
      text: '{\n  "n": 1\n}',
      stats: { updates: 1 },
    })
  })

  test('keeps indent, line ends, byte order mark and tail', async ({ project }) => {
    project.installPeer()
    const text = await project.run(async ({ atomicIndexUpdate, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      fake.put('s3://b/i', '\ufeff{\r\n\t"ü": 1\r\n}\r\n')
      await atomicIndexUpdate('s3://b/i', (index) => Object.assign(index, { 漢: '😀' }))
      return fake.objects.get('s3://b/i').text
    })
    expect(text).toBe('\ufeff{\r\n\t"ü": 1,\r\n\t"漢": "😀"\r\n}\r\n')
  })

  test('that changes nothing writes nothing, and tells the version that was read', async ({ project }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicIndexUpdate, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      fake.put('s3://b/i', '{ "a":   1 }')
      const result = await atomicIndexUpdate('s3://b/i', (index) => ({ ...index }))
      return [result, fake.count('replaceIf')]
    })
    expect(seen).toMatchObject([{ written: false, version: 'v1', bytes: 12, durable: true, conflicts: 0 }, 0])
  })

  test('refuses a text that is no index, and one that JavaScript would change', async ({ project }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicIndexUpdate, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      const outcomes = []
      for (const text of ['{"a":', '[1161888007138312192]']) {
        fake.put('s3://b/i', text)
        const update = (options?: object) => atomicIndexUpdate('s3://b/i', (index) => [...index, 1], options)
        const { code, path, line, message } = await update().catch((error) => error)
        outcomes.push({ code, path, line, message })
        await update({ numbers: 'lossy' }).catch(() => {})
        outcomes.push(fake.objects.get('s3://b/i').text)
      }
      return outcomes
    })
    expect(seen).toEqual([
      {
        code: 'ERR_ATOMIC_CORRUPT_INDEX',
        path: 's3://b/i',
        line: 1,
        message: expect.stringMatching(/repair it, or put an earlier version back, 's3:\/\/b\/i'$/),
      },
      '{"a":',
      expect.objectContaining({ code: 'ERR_ATOMIC_LOSSY_INDEX', path: 's3://b/i', line: 1 }),
      '[1161888007138312200,1]',
    ])
  })

  test('is refused with what is no index, and no text is replaced', async ({ project }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicIndexUpdate, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      const outcomes = []
      for (const next of [undefined, new Map(), { a: 1n }, { toJSON: () => 1 }]) {
        const { code } = await atomicIndexUpdate('s3://b/i', () => next as object).catch((error) => error)
        outcomes.push(code)
      }
      return [outcomes, fake.count('replaceIf')]
    })
    expect(seen).toEqual([Array(4).fill('ERR_INVALID_RETURN_VALUE'), 0])
  })
})

describe('updates that wait at the same time', () => {
  test('share a few commits: 100 of them, all counted', async ({ project }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicIndexUpdate, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      const increment = (index: any) => ({ n: index.n + 1 })
      const updates = Array.from({ length: 100 }, () =>
        atomicIndexUpdate('s3://b/i', increment, { initial: { n: 0 } }),
      )
      const results = await Promise.all(updates)
      const versions = new Set(results.map((result: any) => result.version))
      const shared = results.reduce((sum, { batchSize }) => sum + 1 / batchSize, 0)
      const commits = fake.count('replaceIf')
      return { n: JSON.parse(fake.objects.get('s3://b/i').text).n, commits, versions: versions.size, shared }
    })
    expect(seen).toMatchObject({ n: 100, versions: seen.commits })
    expect(seen.commits).toBeLessThanOrEqual(3)
    expect(seen.shared).toBeCloseTo(seen.commits)
  })

  test('do not share one if they ask for something else, but for the time to wait', async ({ project }) => {
    project.installPeer()
    const sizes = await project.run(async ({ atomicIndexUpdate, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      let goOn = () => {}
      const held = new Promise<void>((resolve) => {
        goOn = resolve
      })
      fake.before = () => held
      const options = [{}, { timeout: 9000 }, { backup: 'b' }, { backup: 'b', initial: [1] }, { space: 1 }]
      const updates = options.map((options) =>
        atomicIndexUpdate('s3://b/i', (index) => index, { initial: [], ...options }),
      )
      // It gives up when it is in the queue, behind all others.
      await atomicIndexUpdate('s3://b/i', (index) => index, { timeout: 0 }).catch(() => undefined)
      goOn()
      return (await Promise.all(updates)).map(({ batchSize }) => batchSize)
    })
    expect(sizes).toEqual([2, 2, 2, 2, 1])
  })

  test('run again on what another writer has put there, and each is counted once', async ({ project }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicIndexUpdate, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      let others = 3
      fake.before = (what: string) => {
        if (what !== 'replaceIf' || others-- <= 0) return
        const { n } = JSON.parse(fake.objects.get('s3://b/i')?.text ?? '{"n":0}')
        fake.put('s3://b/i', JSON.stringify({ n: n + 100 }))
      }
      let runs = 0
      const increment = (index: any) => {
        runs++
        return { n: index.n + 1 }
      }
      const updates = Array.from({ length: 5 }, () =>
        atomicIndexUpdate('s3://b/i', increment, { initial: { n: 0 } }),
      )
      const results: any[] = await Promise.all(updates)
      const { n } = JSON.parse(fake.objects.get('s3://b/i').text)
      const conflicts = Math.max(...results.map(({ conflicts }) => conflicts))
      return { n, conflicts, ranAgain: runs > 5, opened: fake.count('openIndex') }
    })
    // One for each call, which tells its key, and none for a conflict.
    expect(seen).toMatchObject({ n: 305, conflicts: 3, ranAgain: true })
  })

  test('are told of a failure in errors of their own, which lead to their callers', async ({ project }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicIndexUpdate, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      const failure = Object.assign(new Error('ERR_ATOMIC_UNKNOWN_OUTCOME: look'), {
        code: 'ERR_ATOMIC_UNKNOWN_OUTCOME',
        path: 's3://b/i',
        status: 503,
        requestId: 'id',
        cause: 'reset',
      })
      fake.before = (what: string) => {
        if (what === 'replaceIf') throw failure
      }
      async function theOne() {
        await atomicIndexUpdate('s3://b/i', () => ({ a: 1 }))
      }
      async function theOther() {
        await atomicIndexUpdate('s3://b/i', () => ({ b: 1 }))
      }
      const outcomes = await Promise.allSettled([theOne(), theOther()])
      const [one, other] = outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason)
      const shown = ({ code, path, status, requestId, cause, message }: any) => [
        code,
        path,
        status,
        requestId,
        cause,
        message,
      ]
      return {
        errors: [shown(one), shown(other)],
        own: one !== other && one !== failure && one instanceof Error,
        stacks: [/at (async )?theOne/.test(one.stack), /at (async )?theOther/.test(other.stack)],
        enumerable: Object.keys(one),
      }
    })
    const error = [
      'ERR_ATOMIC_UNKNOWN_OUTCOME',
      's3://b/i',
      503,
      'id',
      'reset',
      'ERR_ATOMIC_UNKNOWN_OUTCOME: look',
    ]
    expect(seen).toEqual({
      errors: [error, error],
      own: true,
      stacks: [true, true],
      enumerable: ['code', 'path', 'status', 'requestId', 'cause'],
    })
  })

  test('are not held up by one that fails', async ({ project }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicIndexUpdate, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      const reason = { why: 'no' }
      const fns = [0, 1, 2, 3].map((at) => (index: any) => {
        index.push(at)
        if (at === 2) throw reason
        return at === 3 ? { toJSON: () => 1 } : index
      })
      const calls = fns.map((fn) => atomicIndexUpdate('s3://b/i', fn, { initial: [] }))
      const outcomes = await Promise.allSettled(calls)
      const told = outcomes.map((outcome: any) => outcome.reason?.code ?? outcome.reason ?? outcome.status)
      return [
        told,
        outcomes[2]?.status === 'rejected' && outcomes[2].reason === reason,
        fake.objects.get('s3://b/i').text,
      ]
    })
    expect(seen).toEqual([
      ['fulfilled', 'fulfilled', { why: 'no' }, 'ERR_INVALID_RETURN_VALUE'],
      true,
      '[\n  0,\n  1\n]',
    ])
  })

  test('do not wait for a function that does not return in time', async ({ project }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicIndexUpdate, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      let goOn = () => {}
      const slow = new Promise<void>((resolve) => {
        goOn = resolve
      })
      const order: string[] = []
      const update = (name: string, wait?: Promise<void>) =>
        atomicIndexUpdate(
          's3://b/i',
          async (index) => {
            await wait
            return [...index, name]
          },
          { initial: [] },
        ).then(() => order.push(name))
      const [first, second] = [update('quick'), update('slow', slow)]
      await first
      goOn()
      await second
      return [order, fake.objects.get('s3://b/i').text]
    })
    expect(seen).toEqual([['quick', 'slow'], '[\n  "quick",\n  "slow"\n]'])
  })
})
