using Microsoft.Extensions.Logging;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Keeps what is logged.</summary>
internal sealed class KeptWarnings : ILogger
{
    public List<string> Texts { get; } = [];

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        Texts.Add($"{logLevel}: {formatter(state, exception)}");
}
