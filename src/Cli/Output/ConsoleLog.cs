using IlgpuLoader.Formats;
using Microsoft.Extensions.Logging;

namespace IlgpuLoader.Cli.Output;

/// <summary>Warnings of the library as warnings of the tool; with <c>--verbose</c> what it tells besides, as plain lines.</summary>
/// <param name="console">Where they go.</param>
internal sealed class ConsoleLog(CommandConsole console) : ILogger
{
    /// <inheritdoc/>
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    /// <inheritdoc/>
    public bool IsEnabled(LogLevel logLevel) => logLevel >= (console.Verbose ? LogLevel.Information : LogLevel.Warning);

    /// <inheritdoc/>
    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(logLevel))
        {
            return;
        }

        var text = Quoted.Plain(formatter(state, exception));
        if (logLevel >= LogLevel.Warning)
        {
            console.Warn(text);
        }
        else
        {
            console.Say(text);
        }
    }
}
