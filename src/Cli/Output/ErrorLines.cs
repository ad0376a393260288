using Spectre.Console;

namespace IlgpuLoader.Cli.Output;

/// <summary>Lines of standard error beside a progress bar: while one is drawn they go through its terminal, which writes them above it. Safe for any thread.</summary>
/// <param name="error">Standard error.</param>
internal sealed class ErrorLines(TextWriter error)
{
    private readonly Lock _lock = new();
    private IAnsiConsole? _terminal;

    /// <summary>Writes a line.</summary>
    public void Write(string line)
    {
        lock (_lock)
        {
            if (_terminal is null)
            {
                error.WriteLine(line);
            }
            else
            {
                _terminal.WriteLine(line);
            }
        }
    }

    /// <summary>A bar is drawn from now on, until what is returned is disposed.</summary>
    /// <param name="terminal">Draws it.</param>
    public IDisposable Above(IAnsiConsole terminal)
    {
        Through(terminal);
        return new Bar(this);
    }

    private void Through(IAnsiConsole? terminal)
    {
        lock (_lock)
        {
            _terminal = terminal;
        }
    }

    private sealed class Bar(ErrorLines lines) : IDisposable
    {
        public void Dispose() => lines.Through(null);
    }
}
