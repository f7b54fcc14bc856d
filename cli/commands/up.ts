import type { Command } from 'commander';
import { action } from '../action.ts';
import { DATA_FOLDER } from '../run-file.ts';
import { port } from '../values.ts';

export function addUp(program: Command): void {
  program
    .command('up')
    .description('run everything in this process, with a NATS server beside it unless --nats names one')
    .option('--data <folder>', 'where to keep everything', DATA_FOLDER)
    .option('--port <port>', 'for NATS; 0 = any free one', port, 4222)
    .option('--grpc-port <port>', 'for gRPC; 0 = any free one (default: HIVEBUS_GRPC_PORT, else 7701)', port)
    .action(
      action(
        async (context, options: { data: string; port: number; grpcPort?: number }) => {
          // Only this command needs the services: the others start in half the time without them.
          const { up } = await import('../up.ts');
          await up(context, options);
          context.output.note(`Hivebus has stopped; everything is kept in ${options.data}`);
        },
        { heedsSignal: true, traced: 'none' },
      ),
    );
}
