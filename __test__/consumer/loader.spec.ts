// What index.js does where it cannot load the addon, and in a bundle.

import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { platform } from '../../scripts/loader.mjs'
import { beyondGlibc, neededVersions } from '../../scripts/platforms/elf.mjs'
import { root, runNode } from '../../scripts/tools.mjs'

const addon = `atomic.${platform()}.node`
const isGnu = platform().endsWith('-gnu')
const platformPackage = `@pipeline/atomic-${platform()}`

let project: string
let main: string

/** A project with the main package in it, but not the one of the platform. */
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'atomic-loader-'))
  main = join(project, 'node_modules/@pipeline/atomic')
  mkdirSync(main, { recursive: true })
  for (const file of ['index.js', 'package.json']) copyFileSync(join(root, file), join(main, file))
})

afterEach(() => rmSync(project, { recursive: true, force: true }))

function installAddon(content: Uint8Array | string) {
  const folder = join(project, 'node_modules', platformPackage)
  mkdirSync(folder, { recursive: true })
  copyFileSync(join(root, 'npm', platform(), 'package.json'), join(folder, 'package.json'))
  writeFileSync(join(folder, addon), content)
}

/** The start of an executable whose one program header names its dynamic linker, which is at `place`. */
function executable(linker: string, place: number) {
  const file = Buffer.alloc(place + linker.length)
  file.writeBigUInt64LE(64n, 32)
  file.writeUInt16LE(56, 54)
  file.writeUInt16LE(1, 56)
  file.writeUInt32LE(3, 64)
  file.writeBigUInt64LE(BigInt(place), 64 + 8)
  file.writeBigUInt64LE(BigInt(linker.length), 64 + 32)
  file.write(linker, place, 'latin1')
  return file
}

/** What `require('@pipeline/atomic')` throws, after `first` has run in a Node.js with these flags. */
async function loadingError(
  first = '',
  ...flags: string[]
): Promise<{ code: string; message: string; cause?: string }> {
  const script = `${first}
    try { require('@pipeline/atomic') }
    catch ({ code, message, cause }) { console.log(JSON.stringify({ code, message, cause: cause?.code })) }`
  const { stdout, output } = await runNode([...flags, '-e', script], { cwd: project, quiet: true })
  expect(stdout, output).not.toBe('')
  return JSON.parse(stdout)
}

function expectRefusal({ code, message, cause }: Awaited<ReturnType<typeof loadingError>>) {
  expect({ code, cause }).toEqual({ code: 'ERR_ATOMIC_NO_ADDON', cause: 'ERR_DLOPEN_FAILED' })
  expect(message).toMatch(`@pipeline/atomic cannot be loaded on ${platform()}: `)
  expect(message).toMatch(/\nRemove node_modules and install again on this machine\. .*$/)
}

describe('the loader says what is wrong and what to do', () => {
  test('when the package of this platform is not installed', async () => {
    expect(await loadingError()).toEqual({
      code: 'ERR_ATOMIC_NO_ADDON',
      message:
        `@pipeline/atomic cannot be loaded on ${platform()}: the package ${platformPackage} is not installed.\n` +
        'Remove node_modules and install again on this machine, with optional dependencies. ' +
        'If it is still missing, remove the lock file as well. In a bundle: leave @pipeline/atomic outside, or take its ' +
        'addon along (docs/bundlers.md). In a clone: npm run build.',
      cause: 'MODULE_NOT_FOUND',
    })
  })

  test('when the package of this platform lost its addon', async () => {
    installAddon('')
    rmSync(join(project, 'node_modules', platformPackage, addon))
    expect((await loadingError()).message).toMatch(`the package ${platformPackage} is not installed`)
  })

  test('when the addon is not one', async () => {
    installAddon('not an addon')
    expectRefusal(await loadingError())
  })

  test.runIf(process.platform === 'linux')('when the addon is for another processor', async () => {
    const binary = readFileSync(join(root, addon))
    // e_machine of the ELF header.
    binary.writeUInt16LE(0xffff, 18)
    installAddon(binary)
    expectRefusal(await loadingError())
  })

  test('when the process may not load addons', async () => {
    installAddon(readFileSync(join(root, addon)))
    expect(await loadingError('', '--no-addons')).toEqual({
      code: 'ERR_ATOMIC_NO_ADDON',
      message:
        `@pipeline/atomic cannot be loaded on ${platform()}: this process may not load native addons.\n` +
        'Start Node.js with --allow-addons beside --permission, and without --no-addons.',
      cause: 'ERR_DLOPEN_DISABLED',
    })
  })

  test('when a clone has an addon that does not load, though a package would', async () => {
    installAddon(readFileSync(join(root, addon)))
    writeFileSync(join(main, addon), 'not an addon')
    expect((await loadingError()).message).toMatch('npm run build')
  })

  test('when nothing is built for this platform', async () => {
    const { code, message } = await loadingError(
      `Object.defineProperty(process, 'platform', { value: 'sunos' })`,
    )
    expect(code).toBe('ERR_ATOMIC_NO_ADDON')
    expect(message).toMatch(`@pipeline/atomic cannot be loaded on sunos-${process.arch}: there is no build`)
    expect(message).toMatch(/\nUse a Node\.js for one of these: .*linux-x64-gnu, linux-x64-musl/)
  })

  test.runIf(process.platform === 'linux')('when Node was linked against musl', async () => {
    for (const place of [120, 100_000]) {
      const musl = join(project, 'node')
      writeFileSync(musl, executable(`/lib/ld-musl-${process.arch}.so.1\0`, place))
      const { message } = await loadingError(`process.execPath = ${JSON.stringify(musl)}`)
      expect(message).toMatch(`@pipeline/atomic-linux-${process.arch}-musl is not installed`)
    }
  })

  // The second name is also that of a text, where headers are installed: then it is no missing library.
  test.runIf(isGnu).each(['libc.musl', 'libc.so\0\0'])('when the addon is for musl: %j', async (library) => {
    const binary = readFileSync(join(root, addon))
    binary.write(library, binary.indexOf('libc.so.6\0'), 'latin1')
    installAddon(binary)
    const error = await loadingError()
    expectRefusal(error)
    expect(error.message).toMatch('it was built for musl, which is not the C library of this Node.js')
  })

  test.runIf(isGnu)('when the addon needs a newer C library', async () => {
    const binary = readFileSync(join(root, addon))
    const versions = Object.values(neededVersions(binary)).flat()
    const newest =
      versions
        .filter((name) => /^GLIBC_2\.\d\d$/.test(name))
        .sort()
        .at(-1) ?? ''
    expect(beyondGlibc(binary, '2.0')).toContain(newest)
    const at = binary.indexOf(`\0${newest}\0`) + 1
    const wanted = { 'GLIBC_2.99': 'glibc 2.99', GLIBC_ABI_: 'a glibc with GLIBC_ABI_' }
    for (const [newer, needed] of Object.entries(wanted)) {
      binary.write(newer, at, 'latin1')
      expect(beyondGlibc(binary, '2.98')).toEqual([newer])
      installAddon(binary)
      const { code, message } = await loadingError()
      expect(code).toBe('ERR_ATOMIC_NO_ADDON')
      expect(message).toBe(
        `@pipeline/atomic cannot be loaded on ${platform()}: it needs ${needed}, and this system has an older one.\n` +
          'Run it on a newer system, or, if you have built it yourself, build it on this one.',
      )
    }
  })
})

test('a bundler takes the addon along', async () => {
  installAddon(readFileSync(join(root, addon)))
  writeFileSync(
    join(project, 'main.js'),
    `import { atomicWrite } from '@pipeline/atomic'
     atomicWrite('bundled.txt', 'bundled').then(({ bytes }) => console.log(bytes))`,
  )
  const { errors } = await build({
    entryPoints: [join(project, 'main.js')],
    absWorkingDir: project,
    outdir: join(project, 'out'),
    bundle: true,
    platform: 'node',
    loader: { '.node': 'copy' },
    logLevel: 'silent',
  })
  expect(errors).toEqual([])
  rmSync(join(project, 'node_modules'), { recursive: true })
  const { code, output } = await runNode([join(project, 'out/main.js')], { cwd: project, quiet: true })
  expect(output).toBe('7\n')
  expect(code).toBe(0)
})
