using Microsoft.Extensions.Logging;

namespace IlgpuLoader.Cli.Output;

/// <summary>Warnings of the library as warnings of the tool.</summary>
/// <param name="console">Where they go.</param>
internal sealed class ConsoleLog(CommandConsole console) : ILogger
{
    /// <inheritdoc/>
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    /// <inheritdoc/>
    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

    /// <inheritdoc/>
    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (IsEnabled(logLevel))
        {
            console.Warn(formatter(state, exception));
        }
    }
}
