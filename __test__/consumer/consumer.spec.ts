// A user's project: the main package and this platform's, packed as they are published, installed without a
// network into an empty folder, and used from there in each of the ways that users have.

import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { platform, platformOf } from '../../scripts/loader.mjs'
import { root, run, runNode, runNpm } from '../../scripts/tools.mjs'

const scratch = mkdtempSync(join(tmpdir(), 'atomic-consumer-'))
const project = join(scratch, 'project')
const addon = `atomic.${platform()}.node`

/** What the runner above us set would reach the tools below: they are to start as from a user's shell. */
const cleanEnv = Object.fromEntries(
  Object.keys(process.env)
    .filter((name) =>
      /^(npm_|vitest|jest_|node_env$|node_options$|vite_|test$|dev$|prod$|mode$|tinypool)/i.test(name),
    )
    .map((name) => [name, undefined]),
)

async function succeed(ran: ReturnType<typeof run>): Promise<string> {
  const { code, output, stdout } = await ran
  expect(code, output).toBe(0)
  return stdout
}

function npm(cwd: string, ...args: string[]): Promise<string> {
  return succeed(runNpm(args, { cwd, quiet: true, env: cleanEnv }))
}

function node(...args: string[]): Promise<string> {
  return succeed(runNode(args, { cwd: project, quiet: true, env: cleanEnv }))
}

/** Runs a development tool of this repository in the user's project. */
function tool(script: string, ...args: string[]): Promise<string> {
  return node(join(root, 'node_modules', script), ...args)
}

/** What jest says of one of the project's tests, which passes, and of what is still open after it. */
async function jest(file: string, ...args: string[]): Promise<string> {
  const config = JSON.stringify({ testMatch: [`**/${file}`], transform: {}, watchman: false })
  const jest = [join(root, 'node_modules/jest/bin/jest.js'), '--ci', '--detectOpenHandles', ...args]
  const command = [...jest, '--rootDir', project, '--config', config]
  const { code, output } = await runNode(command, { cwd: project, quiet: true, env: cleanEnv })
  expect(code, output).toBe(0)
  return output
}

/** Packs a folder as `npm publish` does; returns the tarball's path and what is in it. */
async function pack(folder: string): Promise<{ tarball: string; files: string[] }> {
  const [packed] = JSON.parse(await npm(folder, 'pack', '--json', '--pack-destination', scratch))
  const files: string[] = packed.files.map((file: { path: string }) => file.path).sort()
  return { tarball: join(scratch, packed.filename.replace('@', '').replace('/', '-')), files }
}

/**
 * The main package as published: `npm pack` of this repository, plus the optionalDependencies that
 * `napi pre-publish` writes at a release. That command wants the binaries of all platforms, so its one edit is
 * made here, from the same folders in npm/.
 */
async function packMain(): Promise<{ tarball: string; files: string[] }> {
  const { tarball, files } = await pack(root)
  await succeed(run('tar', ['-xzf', tarball, '-C', scratch], { quiet: true }))
  rmSync(tarball)
  const manifestPath = join(scratch, 'package/package.json')
  const manifest = readJson(manifestPath)
  const optionalDependencies = Object.fromEntries(
    readJson(join(root, 'package.json')).napi.targets.map((target: string) => {
      const { name, version } = readJson(join(root, 'npm', platformOf(target), 'package.json'))
      return [name, version]
    }),
  )
  writeFileSync(manifestPath, JSON.stringify({ ...manifest, optionalDependencies }, null, 2))
  return { tarball: (await pack(join(scratch, 'package'))).tarball, files }
}

function readJson(path: string): any {
  return JSON.parse(readFileSync(path, 'utf8'))
}

let main: Awaited<ReturnType<typeof pack>>
let binary: Awaited<ReturnType<typeof pack>>

beforeAll(async () => {
  main = await packMain()

  const platformFolder = join(scratch, platform())
  cpSync(join(root, 'npm', platform()), platformFolder, { recursive: true })
  copyFileSync(join(root, addon), join(platformFolder, addon))
  binary = await pack(platformFolder)

  cpSync(join(root, '__test__/consumer/project'), project, { recursive: true })
  writeFileSync(
    join(project, 'package.json'),
    JSON.stringify({ name: 'consumer', private: true, type: 'module' }),
  )
  const tarballs = [main.tarball, binary.tarball]
  await npm(project, 'install', '--offline', '--no-audit', '--no-fund', '--no-package-lock', ...tarballs)

  // Node's types are the user's own; these are the repository's, so that nothing is downloaded.
  mkdirSync(join(project, 'node_modules/@types'))
  symlinkSync(join(root, 'node_modules/@types/node'), join(project, 'node_modules/@types/node'), 'junction')
}, 180_000)

afterAll(() => rmSync(scratch, { recursive: true, force: true }))

describe('the packed packages', () => {
  test('hold the loader, the types, the program and the texts, and nothing else', () => {
    expect(main.files.filter((file) => file !== 'README.md')).toEqual([
      'LICENSE',
      'codecs/devalue.d.ts',
      'codecs/devalue.js',
      'codecs/diff.js',
      'codecs/jsonc.d.ts',
      'codecs/jsonc.js',
      'codecs/peer.js',
      'codecs/toml.d.ts',
      'codecs/toml.js',
      'codecs/yaml-edit.js',
      'codecs/yaml.d.ts',
      'codecs/yaml.js',
      'compat/lowdb.d.ts',
      'compat/lowdb.js',
      'compat/proper-lockfile.d.ts',
      'compat/proper-lockfile.js',
      'compat/steno.d.ts',
      'compat/steno.js',
      'compat/write-file-atomic.d.ts',
      'compat/write-file-atomic.js',
      'dist/cli.js',
      'index.d.ts',
      'index.js',
      'package.json',
    ])
    expect(binary.files).toEqual(['LICENSE', 'README.md', addon, 'package.json'])
  })

  test('are installed side by side, the binary only in the package of this platform', () => {
    const scope = join(project, 'node_modules/@pipeline')
    expect(existsSync(join(scope, `atomic-${platform()}`, addon))).toBe(true)
    expect(existsSync(join(scope, 'atomic', addon))).toBe(false)
  })

  test('have one version, licence and home', () => {
    const { version, license, engines, homepage, repository, bugs } = readJson(join(root, 'package.json'))
    const inPlatform = readJson(join(project, `node_modules/@pipeline/atomic-${platform()}/package.json`))
    expect(inPlatform).toMatchObject({
      version,
      license,
      engines,
      homepage,
      repository,
      bugs,
      os: [process.platform],
      cpu: [process.arch],
    })
  })
})

describe('a project that installed them can', () => {
  test('import', async () => {
    expect(await node('import.mjs')).toBe('imported .jsonc .yaml .toml .json\n')
    expect(readFileSync(join(project, 'import.json'), 'utf8')).toBe('{\n  "n": 1\n}')
  })

  test('require', async () => {
    expect(await node('require.cjs')).toBe('required .jsonc .yaml .toml .json\n')
  })

  test('start the program, by its name and by that of the package', async () => {
    const { version } = readJson(join(root, 'package.json'))
    expect(await npm(project, 'exec', '--offline', 'atomic', '--', '--version')).toBe(`${version}\n`)
    expect(await npm(project, 'exec', '--offline', '@pipeline/atomic', '--', '--version')).toBe(
      `${version}\n`,
    )
    expect(
      await node('node_modules/@pipeline/atomic/dist/cli.js', 'update', 'cli.json', '--set', 'n=1', '-q'),
    ).toBe('')
    expect(readJson(join(project, 'cli.json'))).toEqual({ n: 1 })
  })

  test('see nothing but the API', async () => {
    const named = await node(
      '--input-type=module',
      '-e',
      `console.log(Object.keys(await import('@pipeline/atomic')).join())`,
    )
    const declared = exportsOf(readFileSync(join(root, 'index.d.ts'), 'utf8')).values
    expect(
      named
        .trim()
        .split(',')
        .filter((name) => !/^(default|module\.exports)$/.test(name))
        .sort(),
    ).toEqual(declared)
  })

  test.each(['nodenext', 'bundler'])(
    'compile TypeScript with "%s" resolution',
    async (resolution) => {
      await tool('typescript/bin/tsc', '--project', `tsconfig.${resolution}.json`)
    },
    300_000,
  )

  test('name every exported type: the TypeScript above leaves none out', () => {
    const { values, types } = exportsOf(readFileSync(join(root, 'index.d.ts'), 'utf8'))
    const files = readdirSync(project).filter((name) => name.endsWith('types.ts'))
    const used = files.map((name) => readFileSync(join(project, name), 'utf8')).join()
    expect([...values, ...types].filter((name) => !new RegExp(`\\b${name}\\b`).test(used))).toEqual([])
  })

  test('test with jest, which finds no open handle when the calls have settled', async () => {
    expect(await jest('jest.test.cjs')).not.toMatch(/open handle/)
  })

  test('find a call that still waits with jest', async () => {
    const output = await jest('jest-waiting.test.cjs', '--forceExit')
    expect(output).toMatch(/1 open handle/)
    expect(output).toContain('atomic mailbox')
  })

  test('test with vitest', async () => {
    await tool('vitest/vitest.mjs', 'run', '--root', project, '--globals', 'vitest.test.mjs')
  })
})

function exportsOf(declarations: string): { values: string[]; types: string[] } {
  const names = (kinds: string) => {
    const found = declarations.matchAll(new RegExp(`^export (?:declare )?(?:${kinds}) (\\w+)`, 'gm'))
    // A function is there once for each of its signatures.
    return [...new Set([...found].map(([, name]) => String(name)))].sort()
  }
  return { values: names('function|class|const|const enum|enum'), types: names('interface|type') }
}
