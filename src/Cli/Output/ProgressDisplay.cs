using IlgpuLoader.Loading;
using Spectre.Console;

namespace IlgpuLoader.Cli.Output;

/// <summary>A progress bar on standard error, where that is a terminal and the user wants one.</summary>
internal static class ProgressDisplay
{
    // Ten updates a second look like movement and cost nothing.
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    // What begins beneath a bar, such as the download of a small file, shows none of its own: two would write over one another.
    private static readonly AsyncLocal<bool> IsWithin = new();

    private static volatile bool _hidesCursor;

    /// <summary>Gives the terminal back the cursor that a bar has hidden, in a process that ends without ending the bar.</summary>
    public static void ShowCursor()
    {
        if (_hidesCursor)
        {
            Console.Error.Write("\u001b[?25h");
        }
    }

    /// <summary>Does work and shows how far it is.</summary>
    /// <param name="console">The console.</param>
    /// <param name="title">What is being done.</param>
    /// <param name="work">The work; gets a progress to report to, or null where nothing is shown.</param>
    public static async Task<T> RunAsync<T>(CommandConsole console, string title, Func<IProgress<LoadProgress>?, Task<T>> work)
    {
        if (!console.ShowProgress || console.Quiet || console.Json || IsWithin.Value)
        {
            return await work(null).ConfigureAwait(false);
        }

        // Of this work alone: the caller's flow keeps its own.
        IsWithin.Value = true;
        var terminal = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(console.Error) });
        _hidesCursor |= terminal.Profile.Capabilities.Ansi;
        // A warning in between would land in the bar.
        using var above = console.Lines.Above(terminal);
        return await terminal.Progress()
            .AutoClear(true)
            .Columns(
                new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new DownloadedColumn(), new TransferSpeedColumn())
            .StartAsync(async context =>
            {
                var latest = new Latest();
                var bar = context.AddTask(Markup.Escape(title), maxValue: 1);
                var running = Task.Run(() => work(latest));
                while (!running.IsCompleted)
                {
                    await Task.WhenAny(running, Task.Delay(Interval)).ConfigureAwait(false);
                    var now = latest.Value;
                    bar.MaxValue = Math.Max(1, now.TotalBytes);
                    bar.Value = now.BytesRead;
                }

                return await running.ConfigureAwait(false);
            }).ConfigureAwait(false);
    }

    // Reports come from the lanes' threads and must return at once: the display picks up the last one.
    private sealed class Latest : IProgress<LoadProgress>
    {
        private readonly Lock _lock = new();
        private LoadProgress _value;

        public LoadProgress Value
        {
            get
            {
                lock (_lock)
                {
                    return _value;
                }
            }
        }

        public void Report(LoadProgress value)
        {
            lock (_lock)
            {
                _value = value;
            }
        }
    }
}
