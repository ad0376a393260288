using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace IlgpuLoader.Loading;

/// <summary>Where the warnings of a load go, each text once. Safe for any thread.</summary>
/// <param name="logger">The logger; null for none.</param>
public sealed partial class WarningLog(ILogger? logger = null)
{
    private readonly ILogger _logger = logger ?? NullLogger.Instance;
    private readonly ConcurrentDictionary<string, byte> _given = new(StringComparer.Ordinal);

    /// <summary>A log that nobody reads; for each use a new one, since it remembers what it was given.</summary>
    public static WarningLog None => new();

    /// <summary>Writes a warning, unless the same text was written before.</summary>
    /// <param name="text">The whole text; names from files quoted (<see cref="Formats.Quoted"/>).</param>
    public void WarnOnce(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (_given.TryAdd(text, 0))
        {
            Warning(_logger, text);
        }
    }

    [LoggerMessage(EventId = 1, Level = LogLevel.Warning, Message = "{Text}")]
    private static partial void Warning(ILogger logger, string text);
}
