// Updates of an index in a store that are given up, late, nested, or whose thread ends.

import { describe, expect } from 'vitest'
import { inTime, test } from '../helpers/cloud'

describe('an abort', () => {
  test('ends reading, replacing and waiting, with the reason of the signal', async ({ project }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicIndexUpdate, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      const outcomes = []
      for (const where of ['read', 'replaceIf', 'fn']) {
        const caller = new AbortController()
        fake.before = (what: string, signal: AbortSignal) => {
          if (what !== where) return
          // As the peer does: it waits until it is told.
          const aborted = new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason))
          })
          caller.abort('enough')
          return aborted
        }
        const fn = () => {
          if (where === 'fn') caller.abort('enough')
          return { where }
        }
        const update = atomicIndexUpdate('s3://b/i', fn, { signal: caller.signal })
        const { name, code, cause } = await update.catch((error) => error)
        outcomes.push([name, code, cause])
      }
      return [outcomes, fake.objects.size]
    })
    expect(seen).toEqual([Array(3).fill(['AbortError', 'ABORT_ERR', 'enough']), 0])
  })

  test('ends reading again after another writer was faster', async ({ project }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicIndexUpdate, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      const caller = new AbortController()
      fake.before = (what: string, signal: AbortSignal) => {
        if (what === 'replaceIf') fake.put('s3://b/i', '{}')
        if (what === 'replaceIf' || fake.count('replaceIf') === 0) return
        const aborted = new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason))
        })
        caller.abort('enough')
        return aborted
      }
      const update = atomicIndexUpdate('s3://b/i', () => ({ a: 1 }), { signal: caller.signal })
      const { name, cause } = await update.catch((error) => error)
      return [name, cause, fake.objects.get('s3://b/i').text]
    })
    expect(seen).toEqual(['AbortError', 'enough', '{}'])
  })

  test('of one that shares its commit does not end the commit', inTime, async ({ project }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicIndexUpdate, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      const caller = new AbortController()
      fake.before = (what: string, signal: AbortSignal) => {
        if (what !== 'replaceIf') return
        caller.abort()
        if (signal.aborted) throw signal.reason
      }
      const append = (value: number) => (index: any) => [...index, value]
      const outcomes: any[] = await fake.together(atomicIndexUpdate, () => [
        atomicIndexUpdate('s3://b/i', append(1), { initial: [], signal: caller.signal }),
        atomicIndexUpdate('s3://b/i', append(2), { initial: [] }),
      ])
      return [outcomes.map(({ status }) => status), JSON.parse(fake.objects.get('s3://b/i').text)]
    })
    expect(seen).toEqual([
      ['fulfilled', 'fulfilled'],
      [1, 2],
    ])
  })

  test('of one that was told already does not end the commit of another', inTime, async ({ project }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicIndexUpdate, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      const caller = new AbortController()
      fake.before = (what: string, signal: AbortSignal) => {
        if (what !== 'replaceIf') return
        caller.abort()
        if (signal.aborted) throw signal.reason
      }
      const outcomes: any[] = await fake.together(atomicIndexUpdate, () => [
        atomicIndexUpdate(
          's3://b/i',
          () => {
            throw new Error('failed')
          },
          { signal: caller.signal },
        ),
        atomicIndexUpdate('s3://b/i', () => ({ b: 1 })),
      ])
      const told = outcomes.map((outcome: any) => outcome.reason?.message ?? outcome.status)
      return [told, fake.objects.get('s3://b/i')?.text]
    })
    expect(seen).toEqual([['failed', 'fulfilled'], '{\n  "b": 1\n}'])
  })

  test('of one whose object was replaced by others does not end those behind it', async ({ project }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicIndexUpdate, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      const caller = new AbortController()
      fake.before = (what: string, signal: AbortSignal) => {
        if (signal.aborted) throw signal.reason
        if (what !== 'replaceIf' || caller.signal.aborted) return
        // The peer has its answer, whatever comes now.
        fake.put('s3://b/i', '{}')
        caller.abort()
      }
      let goOn = () => {}
      const slow = new Promise<void>((resolve) => {
        goOn = resolve
      })
      const change = (name: string) => (index: any) => ({ ...index, [name]: 1 })
      let runs = 0
      const calls = [
        atomicIndexUpdate('s3://b/i', change('a'), { signal: caller.signal }),
        // Slow at first: the one before it is written alone, and the index is kept.
        atomicIndexUpdate('s3://b/i', async (index: any) => {
          if (runs++ === 0) await slow
          return change('b')(index)
        }),
      ]
      const outcomes = await Promise.allSettled(calls)
      goOn()
      const told = outcomes.map(({ status, reason }: any) => reason?.name ?? status)
      return [told, JSON.parse(fake.objects.get('s3://b/i').text)]
    })
    expect(seen).toEqual([['AbortError', 'fulfilled'], { b: 1 }])
  })
})

describe('a timeout', () => {
  test('behind an earlier call says so', async ({ project }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicIndexUpdate, require }) => {
      let goOn = () => {}
      const held = new Promise<void>((resolve) => {
        goOn = resolve
      })
      require('@pipeline/atomic-cloud').fake.before = () => held
      const first = atomicIndexUpdate('s3://b/i', () => ({}))
      const { code, message, path, lock } = await atomicIndexUpdate('s3://b/i', () => ({}), {
        timeout: 1,
      }).catch((error) => error)
      goOn()
      await first
      return { code, message, path, lock }
    })
    expect(seen).toEqual({
      code: 'ERR_ATOMIC_LOCK_TIMEOUT',
      path: 's3://b/i',
      message: expect.stringMatching(
        /ms waiting for an earlier call of this process; options\.timeout sets how long/,
      ),
    })
  })

  test('of a call whose object others replace each time says what to do', async ({ project }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicIndexUpdate, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      fake.before = async (what: string) => {
        if (what === 'replaceIf') fake.put('s3://b/i', '{}')
      }
      const update = atomicIndexUpdate('s3://b/i', () => ({ a: 1 }), { timeout: 20 })
      const { code, message } = await update.catch((error) => error)
      return { code, message, text: fake.objects.get('s3://b/i').text }
    })
    expect(seen).toEqual({
      code: 'ERR_ATOMIC_CONTENDED',
      message: expect.stringMatching(
        /and nothing was written: call it again .*atomicIndexPatch.*, 's3:\/\/b\/i'$/,
      ),
      text: '{}',
    })
  })

  for (const [where, code] of [
    ['replaceIf', 'ERR_ATOMIC_CONTENDED'],
    ['replaceIf', 'ETIMEDOUT'],
    ['read', 'ERR_ATOMIC_CONTENDED'],
    ['read', 'ETIMEDOUT'],
  ] as const) {
    test(
      `of the peer in ${where} (${code}) counts for the calls whose time it is, and not for the others`,
      inTime,
      async ({ project }) => {
        project.installPeer()
        const seen = await project.run(
          async ({ atomicIndexUpdate, require }, where, code) => {
            const { fake } = require('@pipeline/atomic-cloud')
            let isOver = false
            fake.before = (what: string) => {
              if (isOver) return
              // Others are faster, so that it is read again.
              if (what === 'replaceIf' && where === 'read') return fake.put('s3://b/i', '[]')
              if (what !== where || fake.count('replaceIf') === 0) return
              isOver = true
              // It begins nothing that it cannot end in time, and so may give up before.
              throw Object.assign(new Error('late'), { code })
            }
            const append = (value: number) => (index: any) => [...index, value]
            const outcomes: any[] = await fake.together(atomicIndexUpdate, () => [
              atomicIndexUpdate('s3://b/i', append(1), { initial: [], timeout: 9_000_000 }),
              atomicIndexUpdate('s3://b/i', append(2), { initial: [], timeout: 20_000_000 }),
              atomicIndexUpdate('s3://b/i', append(3), { initial: [], timeout: 5_000_000 }),
            ])
            const told = outcomes.map(({ status, reason }) => reason?.code ?? status)
            const timeouts = fake.calls.flatMap(([name, , options]: any) =>
              name === 'openIndex' && options.timeout > 1 ? [options.timeout] : [],
            )
            return [told, fake.objects.get('s3://b/i')?.text, timeouts]
          },
          where,
          code,
        )
        const near = (ms: number) =>
          expect.toSatisfy((given: number) => given > ms - 2_000_000 && given <= ms)
        expect(seen).toEqual([
          ['fulfilled', 'fulfilled', code],
          expect.stringMatching(/^\[\s*1,\s*2\s*\]$/),
          [near(9_000_000), near(20_000_000), near(5_000_000), near(20_000_000)],
        ])
      },
    )
  }

  test('of the peer ends calls one after the other, as their times are over', inTime, async ({ project }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicIndexUpdate, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      fake.before = (what: string) => {
        if (what === 'replaceIf') throw Object.assign(new Error('late'), { code: 'ETIMEDOUT' })
      }
      const outcomes: any[] = await fake.together(atomicIndexUpdate, () => [
        atomicIndexUpdate('s3://b/i', () => ({}), { timeout: 9_000_000 }),
        atomicIndexUpdate('s3://b/i', () => ({}), { timeout: 5_000_000 }),
      ])
      return [outcomes.map(({ reason }) => reason?.code), fake.count('replaceIf')]
    })
    expect(seen).toEqual([['ETIMEDOUT', 'ETIMEDOUT'], 2])
  })

  test('of a call that shares a write in doubt ends neither the write nor the other calls', async ({
    project,
  }) => {
    project.installPeer()
    const seen = await project.run(async ({ atomicIndexUpdate, require }) => {
      const { fake } = require('@pipeline/atomic-cloud')
      let goOn = () => {}
      const held = new Promise<void>((resolve) => {
        goOn = resolve
      })
      fake.before = (what: string) => {
        if (what !== 'replaceIf') return
        const code = 'ERR_ATOMIC_UNKNOWN_OUTCOME'
        fake.doubt = Object.assign(new Error(`${code}: look`), { code, requestId: 'id' })
        return held
      }
      const append = (value: number) => (index: any) => [...index, value]
      const update = (value: number, timeout: number) =>
        atomicIndexUpdate('s3://b/i', append(value), { initial: [], timeout })
      async function theFirst() {
        try {
          return await update(1, 1500)
        } finally {
          goOn()
        }
      }
      const calls = () => [theFirst(), update(2, 20_000), update(3, 9000)]
      const [first, ...others] = await fake.together(atomicIndexUpdate, calls)
      const { code, requestId, stack } = first.reason
      const [, , times] = fake.calls.find(([name]: string[]) => name === 'replaceIf')
      const text = fake.objects.get('s3://b/i').text
      const written = others.map(({ value }: any) => value?.written)
      return { code, requestId, stack, written, times, text }
    })
    expect(seen).toEqual({
      code: 'ERR_ATOMIC_UNKNOWN_OUTCOME',
      requestId: 'id',
      stack: expect.stringMatching(/at (async )?theFirst/),
      written: [true, true],
      times: {
        write: expect.toSatisfy((ms: number) => ms <= 1500),
        doubt: expect.toSatisfy((ms: number) => ms > 9000),
      },
      text: expect.stringMatching(/^\[\s*1,\s*2,\s*3\s*\]$/),
    })
  })
})

test('a call inside the function of an update of the same object is refused', async ({ project }) => {
  project.installPeer()
  const seen = await project.run(async ({ atomicIndexUpdate }) => {
    let inner: any
    await atomicIndexUpdate('s3://b/i', async () => {
      inner = await atomicIndexUpdate('s3://b/i', () => ({})).catch((error) => error)
      await atomicIndexUpdate('s3://b/other', () => ({}))
      return { outer: true }
    })
    return [inner.code, inner.path]
  })
  expect(seen).toEqual(['ERR_ATOMIC_REENTRANT', 's3://b/i'])
})

test('a worker that is terminated while its function runs lets the others go on', async ({ project }) => {
  project.installPeer()
  const seen = await project.run(async ({ addon, atomicIndexUpdate, require }) => {
    const { Worker } = require('node:worker_threads')
    const { once } = require('node:events')
    const code = `
      const { atomicIndexUpdate } = require(${JSON.stringify(addon)})
      const { parentPort } = require('node:worker_threads')
      atomicIndexUpdate('s3://b/i', () => {
        parentPort.postMessage('inside')
        return new Promise(() => setInterval(() => {}, 1000))
      })`
    const worker = new Worker(code, { eval: true })
    await once(worker, 'message')
    const update = atomicIndexUpdate('s3://b/i', () => ({ here: true }))
    await worker.terminate()
    return update
  })
  expect(seen).toMatchObject({ written: true, batchSize: 1 })
})
