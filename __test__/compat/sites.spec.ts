// examples/: generators of sites, by their hooks as they are documented. Each in the real one: `__test__/registry/sites.spec.ts`.

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, onTestFinished, vi } from 'vitest'
import { type Config, atomicOutput as forAstro } from '../../examples/astro/atomic-output'
import {
  type EleventyBuild,
  type EleventyConfig,
  atomicOutput as forEleventy,
} from '../../examples/eleventy/atomic-output'
import { leftovers } from '../helpers/files'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

function build(dir: string, page: string) {
  mkdirSync(join(dir, 'build'), { recursive: true })
  writeFileSync(join(dir, 'build', 'index.html'), page)
}

const pageOf = (...folder: string[]) => readFileSync(join(...folder, 'index.html'), 'utf8')

/** Folders that are to be no folder of their own, whatever builds the site: that of the project is `dir`, the output is `dir/build`. */
const refused: [to: string, reason: string][] = [
  ['.', 'has sources'],
  ['..', 'has sources'],
  ['content', 'has sources'],
  ['link/content', 'has sources'],
  ['build', 'in one another'],
  ['build/part', 'in one another'],
  ['linked build', 'in one another'],
  ['repository', 'has a .git'],
]

function makeRefused(dir: string) {
  for (const folder of ['content', 'build', 'repository/.git'])
    mkdirSync(join(dir, folder), { recursive: true })
  symlinkSync('.', join(dir, 'link'), 'junction')
  symlinkSync('build', join(dir, 'linked build'), 'junction')
}

describe('astro', () => {
  const logger = { info: vi.fn<(message: string) => void>() }

  function configOf(
    dir: string,
    others: Partial<Record<'srcDir' | 'publicDir' | 'outDir', string>> = {},
  ): Config {
    const folder = (name: string) => pathToFileURL(`${join(dir, name)}/`)
    const { srcDir = 'content', publicDir = 'public', outDir = 'build' } = others
    return {
      root: folder(''),
      srcDir: folder(srcDir),
      publicDir: folder(publicDir),
      outDir: folder(outDir),
      build: { client: folder(`${outDir}/client`), server: folder(`${outDir}/server`) },
    }
  }

  test('a build that is done is what is served, and the one before is kept, both by paths from the root', async ({
    dir,
  }) => {
    for (const to of ['live', './sub/live', 'site#1/html', '100%', join(dir, 'absolute')]) {
      const { hooks } = forAstro({ to, keepPrevious: `previous of ${to.replaceAll('/', ' ')}` })
      hooks['astro:config:done']({ config: configOf(dir) })
      const served = to.startsWith(dir) ? to : join(dir, to)
      logger.info.mockClear()
      for (const page of ['first', 'second']) {
        build(dir, page)
        await hooks['astro:build:done']({ dir: configOf(dir).outDir, logger })
        expect(pageOf(served)).toBe(page)
      }
      expect(pageOf(dir, `previous of ${to.replaceAll('/', ' ')}`)).toBe('first')
      expect(logger.info.mock.calls).toHaveLength(2)
      expect(logger.info.mock.calls[0]?.[0]).toContain(served)
    }
    expect(leftovers(dir)).toEqual([])
  })

  test('what is no folder of its own is refused before anything is built', ({ dir }) => {
    makeRefused(dir)
    const more: typeof refused = [
      ['public', 'has sources'],
      ['public/live', 'is in'],
      ['content/pages/live', 'is in'],
      ['build/client', 'in one another'],
    ]
    for (const [folder, reason] of [...refused, ...more]) {
      for (const options of [{ to: folder }, { to: 'live', keepPrevious: folder }]) {
        const configure = forAstro(options).hooks['astro:config:done']
        expect(() => configure({ config: configOf(dir) }), folder).toThrow(reason)
      }
    }
    const outside = { config: configOf(join(dir, 'content'), { srcDir: '.', outDir: '../build' }) }
    expect(() => forAstro({ to: '.' }).hooks['astro:config:done'](outside)).toThrow('has sources')
    expect(() => forAstro({ to: '..' }).hooks['astro:config:done'](outside)).toThrow('has sources')
    const nested = { config: configOf(dir, { outDir: 'out/build' }) }
    expect(() => forAstro({ to: 'out' }).hooks['astro:config:done'](nested)).toThrow('in one another')
    const none = forAstro({ to: undefined as never }).hooks['astro:config:done']
    expect(() => none({ config: configOf(dir) })).toThrow(TypeError)
  })
})

describe('eleventy', () => {
  /** What Eleventy does to a plug-in, and with what its configuration holds. */
  function pluggedIn(
    dir: string,
    options: Parameters<typeof forEleventy>[1],
    output: string = join(dir, 'build'),
  ) {
    const listeners = new Map<string, (build: EleventyBuild) => Promise<void>>()
    const config = {
      ignores: new Set<string>(),
      on: (event, listener) => listeners.set(event, listener),
      setEventEmitterMode: vi.fn<(mode: string) => void>(),
    } satisfies EleventyConfig
    forEleventy(config, options)
    const tell = async (event: 'before' | 'after', how: Partial<EleventyBuild> = {}) => {
      const directories = {
        input: join(dir, 'content'),
        includes: join(dir, 'content/_includes'),
        data: join(dir, 'data'),
        output,
      }
      await listeners.get(`eleventy.${event}`)?.({ directories, runMode: 'build', outputMode: 'fs', ...how })
    }
    return { config, tell }
  }

  test('a build is served, and what is seen while somebody works on it is not', async ({ dir }) => {
    const { config, tell } = pluggedIn(dir, { to: join(dir, 'live') })
    expect(config.setEventEmitterMode.mock.calls).toEqual([['sequential']])
    build(dir, 'first')
    await tell('before')
    await tell('after')
    build(dir, 'second')
    await tell('after', { runMode: 'watch' })
    await tell('after', { runMode: 'serve' })
    await tell('after', { outputMode: 'json' })
    const { argv } = process
    onTestFinished(() => {
      process.argv = argv
    })
    for (const nothing of ['--dryrun', '--ignore-initial']) {
      process.argv = [...argv, nothing]
      await tell('after')
    }
    process.argv = argv
    expect(pageOf(dir, 'live')).toBe('first')
    await tell('after')
    expect(pageOf(dir, 'live')).toBe('second')
    expect(leftovers(dir)).toEqual([])
  })

  test('what is served, was served, or was left by a kill is no input', ({ dir }) => {
    const { config } = pluggedIn(dir, { to: 'public_html', keepPrevious: './!previous[1]/' })
    expect([...config.ignores]).toEqual(['public_html/**', '?previous?1?/**', '**/.*.atomic-*/**'])
  })

  test('what is no folder of its own is refused before anything is built', async ({ dir }) => {
    makeRefused(dir)
    const more: typeof refused = [['data', 'has sources']]
    for (const [folder, reason] of [...refused, ...more]) {
      const path = join(dir, folder)
      for (const options of [{ to: path }, { to: join(dir, 'live'), keepPrevious: path }]) {
        const error = await rejection(pluggedIn(dir, options).tell('before'))
        expect(error.message, folder).toContain(reason)
      }
    }
    const around = pluggedIn(dir, { to: join(dir, 'out') }, join(dir, 'out/build'))
    expect((await rejection(around.tell('before'))).message).toContain('in one another')
    // The folder from which Eleventy was started is that of the project.
    expect((await rejection(pluggedIn(dir, { to: '.' }).tell('before'))).message).toContain('has sources')
    expect(() => pluggedIn(dir, { to: undefined as never })).toThrow(TypeError)
  })
})
