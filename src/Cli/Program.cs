using IlgpuLoader.Cli;

return await Tool.RunFromConsoleAsync(args).ConfigureAwait(false);
