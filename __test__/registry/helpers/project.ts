// A user's project: a fresh folder, into which a package manager installs from the registry.

import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { inject, onTestFinished } from 'vitest'
import { run } from '../../../scripts/tools.mjs'
import { cleanEnv, succeed } from '../../helpers/packed'

const registry = inject('registry')

/** As from a user's shell, whose node is the one that the run has installed. */
export const env = {
  ...cleanEnv,
  NEXT_TELEMETRY_DISABLED: '1',
  PATH: `${dirname(inject('node') || process.execPath)}${process.platform === 'win32' ? ';' : ':'}${process.env.PATH}`,
}

/** Each manager's way to say where the packages of one scope come from. */
function registryFiles(): Record<string, string> {
  return {
    '.npmrc': `@pipeline:registry=${registry}\n`,
    // The packages are new, with which some managers wait; and what yarn knows of them is of another run's registry.
    'pnpm-workspace.yaml': 'minimumReleaseAge: 0\n',
    '.yarnrc': `"@pipeline:registry" "${registry}"\n`,
    '.yarnrc.yml': `npmScopes: { pipeline: { npmRegistryServer: "${registry.replace(/\/$/, '')}" } }
unsafeHttpWhitelist: ["127.0.0.1"]
npmPreapprovedPackages: ["@pipeline/*"]
enableTelemetry: false
enableGlobalCache: false
globalFolder: ./.yarn-global
`,
  }
}

/** A copy of one of the projects beside this folder, outside the repository. */
export function freshProject(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `atomic-${name}-`))
  cpSync(join(import.meta.dirname, '../projects', name), folder, { recursive: true })
  for (const [file, text] of Object.entries(registryFiles())) writeFileSync(join(folder, file), text)
  return folder
}

/** One that is gone after the test. */
export function projectOfTest(name: string): string {
  const folder = freshProject(name)
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The output of a command that ends well in `folder`. */
export function inProject(folder: string, command: string, ...args: string[]): Promise<string> {
  return succeed(run(command, args, { cwd: folder, quiet: true, env }))
}

/** The same of a script, by the Node.js of the run. */
export function nodeIn(folder: string, ...args: string[]): Promise<string> {
  return inProject(folder, inject('node'), ...args)
}
