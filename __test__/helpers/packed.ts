// The packages as they are published: packed, and unpacked again into folders from which they are installed or published.

import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { platform, platformOf } from '../../scripts/loader.mjs'
import { root, run, runNpm } from '../../scripts/tools.mjs'

/** What the runner above us set would reach the tools below: they are to start as from a user's shell. */
export const cleanEnv = Object.fromEntries(
  Object.keys(process.env)
    .filter((name) =>
      /^(npm_|vitest|jest_|node_env$|node_options$|vite_|test$|dev$|prod$|mode$|tinypool)/i.test(name),
    )
    .map((name) => [name, undefined]),
)

/** The standard output of what has ended well. */
export async function succeed(ran: ReturnType<typeof run>): Promise<string> {
  const { code, output, stdout } = await ran
  if (code !== 0) throw new Error(`it ended with ${code}:\n${output.slice(-5000)}`)
  return stdout
}

export function npm(cwd: string, ...args: string[]): Promise<string> {
  return succeed(runNpm(args, { cwd, quiet: true, env: cleanEnv }))
}

export function readJson(path: string): any {
  return JSON.parse(readFileSync(path, 'utf8'))
}

export function writeJson(path: string, value: unknown) {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`)
}

/** Packs a folder as `npm publish` does; returns the tarball's path and what is in it. */
export async function pack(folder: string, into: string): Promise<{ tarball: string; files: string[] }> {
  const [packed] = JSON.parse(await npm(folder, 'pack', '--json', '--pack-destination', into))
  const files: string[] = packed.files.map((file: { path: string }) => file.path).sort()
  return { tarball: join(into, packed.filename.replace('@', '').replace('/', '-')), files }
}

/** Of the package in a folder of this repository: its name, version and targets. */
export function manifestOf(source: string) {
  return readJson(join(root, source, 'package.json'))
}

/**
 * The package in `source`, laid out in `folder` as it is published: what `npm pack` takes, plus the optionalDependencies that
 * `napi pre-publish` writes at a release. That command wants the binaries of all platforms, so its one edit is made here.
 */
export async function layOut(source: string, folder: string): Promise<string[]> {
  mkdirSync(folder, { recursive: true })
  const { tarball, files } = await pack(join(root, source), folder)
  await succeed(run('tar', ['-xzf', tarball, '-C', folder, '--strip-components=1'], { quiet: true }))
  rmSync(tarball)
  const path = join(folder, 'package.json')
  const manifest = readJson(path)
  const optionalDependencies = Object.fromEntries(
    manifest.napi.targets.map((target: string) => [
      `${manifest.name}-${platformOf(target)}`,
      manifest.version,
    ]),
  )
  writeJson(path, { ...manifest, optionalDependencies })
  return files
}

/** The package of a platform, of the package in `source`, with a binary; without one its place is taken by a text. */
export function layOutPlatform(source: string, name: string, folder: string, binary?: string) {
  const { napi, version } = manifestOf(source)
  const addon = `${napi.binaryName}.${name}.node`
  cpSync(join(root, 'npm', name), folder, { recursive: true })
  const manifest = readJson(join(folder, 'package.json'))
  const names = { name: `${napi.packageName}-${name}`, main: addon, files: [addon] }
  writeJson(join(folder, 'package.json'), { ...manifest, ...names, version })
  if (binary) copyFileSync(binary, join(folder, addon))
  else writeFileSync(join(folder, addon), 'no binary was built')
  return folder
}

/** Where `npm run build` and `npm run build:cloud` put the addon for this platform. */
export const builtAddon = (source: string) =>
  join(root, source, `${manifestOf(source).napi.binaryName}.${platform()}.node`)
