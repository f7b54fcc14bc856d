import { Argument, type Command } from 'commander';
import { action } from '../action.ts';
import { complete, type Names, OPEN_TASK } from '../completion.ts';
import type { Context } from '../context.ts';
import { readContexts } from '../contexts.ts';
import { findKind } from '../kinds/index.ts';
import { openTasks } from '../queries.ts';

const HELP = `
Names of swarms, agents, tasks and the like are asked for where they are wanted,
and left out when nothing runs. The line may stand in ~/.bashrc, or in ~/.zshrc
after compinit; fish reads ~/.config/fish/completions/hivebus.fish.

Examples:
  bash   source <(hivebus completion bash)
  zsh    source <(hivebus completion zsh)
  fish   hivebus completion fish | source`;

/** What the scripts call; the words follow `--`. */
const CALL = '__complete';
/** Says: complete a file. */
const FILES = ':files';

const SCRIPTS = {
  bash: `# hivebus completion for bash
_hivebus() {
  local line words=() current="\${COMP_WORDS[COMP_CWORD]}"
  while IFS=$'\\t' read -r line _; do words+=("$line"); done \\
    < <("\${COMP_WORDS[0]}" ${CALL} -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  if [[ \${words[0]} == '${FILES}' ]]; then
    compopt -o filenames
    COMPREPLY=($(compgen -f -- "$current"))
  else
    COMPREPLY=("\${words[@]}")
  fi
}
complete -F _hivebus hivebus`,
  zsh: `# hivebus completion for zsh
_hivebus() {
  local line
  local -a found
  for line in "\${(@f)$("\${words[1]}" ${CALL} -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ $line == '${FILES}' ]] && { _files; return }
    [[ -n $line ]] && found+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  _describe hivebus found
}
compdef _hivebus hivebus`,
  fish: `# hivebus completion for fish
function __hivebus_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  set -l found ($words[1] ${CALL} -- $words[2..-1] "$current" 2>/dev/null)
  if test "$found[1]" = '${FILES}'
    __fish_complete_path "$current"
  else
    printf '%s\\n' $found
  end
end
complete -c hivebus -f -a '(__hivebus_complete)'`,
} as const;

type Shell = keyof typeof SCRIPTS;

export function addCompletion(program: Command): void {
  program
    .command('completion')
    .description('a script that makes a shell complete what is typed')
    .addArgument(new Argument('<shell>', 'which shell').choices(Object.keys(SCRIPTS)))
    .addHelpText('after', HELP)
    .action(action(async (_: Context, shell: Shell) => console.log(SCRIPTS[shell])));
  program
    .command(CALL, { hidden: true })
    .argument('[words...]')
    .action(action((context: Context, words: string[]) => answer(context, program, words)));
}

async function answer(context: Context, program: Command, words: readonly string[]): Promise<void> {
  const found = await complete(program, words, namesOf(context));
  if (found === 'files') console.log(FILES);
  else for (const [word, hint] of found) console.log(`${word}\t${hint}`);
  process.exit(); // who came too late is not waited for
}

/** Somebody has pressed a key and waits. */
const PATIENCE_MS = 1500;
const MAX_NAMES = 200;

const namesOf =
  (context: Context): Names =>
  async (of) => {
    if (of === 'context') return Object.keys(readContexts().contexts);
    const kind = findKind(of === OPEN_TASK ? 'task' : of);
    if (!kind) return [];
    const asked = async () => {
      await using hive = await context.connectAs({ kind: 'anonymous' });
      const things = of === OPEN_TASK ? await openTasks(hive) : await kind.list(hive, {});
      return things.map((item) => kind.nameOf(item)).slice(-MAX_NAMES);
    };
    const late = new Promise<string[]>((resolve) => setTimeout(resolve, PATIENCE_MS, []).unref());
    return Promise.race([asked().catch(() => []), late]);
  };
