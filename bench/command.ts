// How the programs here begin and end: a mistake in their command line is one line, and the exit code 2.

import { parseArgs } from 'node:util'
import { Complaint } from '../scripts/tools.mjs'

/** A mistake in the command line. */
export class UsageError extends Error {}

/** As `parseArgs` of node:util. What it refuses is a mistake in the command line. */
export const parseCommand: typeof parseArgs = (config) => {
  try {
    return parseArgs(config)
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

/** Runs a program to its end. */
export function runProgram(main: () => Promise<void>): void {
  main().catch((error) => {
    console.error(error instanceof UsageError || error instanceof Complaint ? error.message : error)
    process.exitCode = error instanceof UsageError ? 2 : 1
  })
}
