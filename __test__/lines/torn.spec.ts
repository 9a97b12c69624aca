// A torn line that is set aside, while other programs go on.

import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect } from 'vitest'
import { leftovers, names } from '../helpers/files'
import { needs } from '../helpers/needs'
import type { Remote } from '../helpers/processes'
import { systemCalls } from '../helpers/system-calls'

const append = ({ appendLines }: Remote, file: string, options: object) =>
  appendLines(file, 'ours', options).then(({ torn }) => torn ?? null)

describe('a torn line', () => {
  const traced = needs('strace that may attach')

  traced('that its program ends during the copy stays where it is', async ({ dir, file }) => {
    writeFileSync(file, 'old\nhal')
    const { returned } = await systemCalls(append, [file, { flush: false }], {
      trace: ['linkat', 'rename', 'renameat2'],
      inject: ['linkat:signal=SIGSTOP:when=1', 'rename,renameat2:signal=SIGSTOP:when=1'],
      whileStopped() {
        const isCopied = names(dir).some((name) => name.includes('.torn-'))
        if (isCopied && readFileSync(file, 'utf8') === 'old\nhal') appendFileSync(file, 'f\n')
      },
    })
    expect(returned).toBeNull()
    expect(readFileSync(file, 'utf8')).toBe('old\nhalf\nours\n')
    expect(names(dir)).toEqual(['index.json'])
  })

  traced(
    'that another program goes on with during each attempt stays, and the error says what to do',
    async ({ dir, file }) => {
      writeFileSync(file, 'h')
      const failing = ({ appendLines }: Remote, file: string) =>
        appendLines(file, 'ours', { verify: false }).then(
          () => 'appended',
          ({ code, message }) => ({ code, message }),
        )
      let stops = 0
      const { returned } = await systemCalls(failing, [file], {
        trace: ['fsync'],
        // What is set aside is flushed before the file is looked at for the last time.
        inject: ['fsync:signal=SIGSTOP'],
        whileStopped() {
          stops++
          appendFileSync(file, 'h')
        },
      })
      expect(returned).toMatchObject({
        code: 'ESTALE',
        message: expect.stringContaining('repeat the call when'),
      })
      expect(stops).toBeGreaterThan(1)
      expect(readFileSync(file, 'utf8')).toBe('h'.repeat(stops + 1))
      expect(leftovers(dir)).toEqual([])
    },
  )

  traced('is on disk elsewhere before it is cut off, whatever the call asks for', async ({ dir, file }) => {
    writeFileSync(file, 'old\nhalf')
    const trace = ['fsync', 'fdatasync', 'ftruncate']
    const { returned, calls } = await systemCalls(append, [file, { flush: false }], { trace })
    expect(returned).toMatchObject({ offset: 4, bytes: 4 })
    const cut = calls.findIndex(({ name, args }) => name === 'ftruncate' && args.includes(`${file}>`))
    const flushed = calls.slice(0, cut).filter(({ name }) => name.endsWith('sync'))
    expect(flushed.some(({ args }) => !args.includes(`${dir}>`))).toBe(true)
    expect(flushed.at(-1)?.args).toContain(`${dir}>`)
  })
})
