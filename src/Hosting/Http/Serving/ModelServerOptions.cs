using Microsoft.Extensions.Logging;

namespace IlgpuLoader.Hosting;

/// <summary>What <see cref="ModelServer"/> serves, as a command line says it: each wins over environment and file. Read once.</summary>
public sealed class ModelServerOptions
{
    /// <summary>A JSON file with the sections <c>IlgpuLoader</c> and <c>Logging</c>; null for none.</summary>
    public string? ConfigurationFile { get; set; }

    /// <summary>Checkpoints that are served beside the configured models, each under its file's or folder's name.</summary>
    public IList<string> Paths { get; } = [];

    /// <summary>The device of all models; null for what is configured.</summary>
    public string? Device { get; set; }

    /// <summary>The dtype of all models; null for what is configured.</summary>
    public string? DType { get; set; }

    /// <summary>Whether all models' folders are watched; null for what is configured.</summary>
    public bool? Watch { get; set; }

    /// <inheritdoc cref="HttpOptions.Urls"/>
    public string? Urls { get; set; }

    /// <inheritdoc cref="HttpOptions.TokenFile"/>
    public string? TokenFile { get; set; }

    /// <summary>What is logged, to standard error, unless the configuration says otherwise (<c>Logging:LogLevel</c>); null for <see cref="LogLevel.Information"/>.</summary>
    public LogLevel? LogLevel { get; set; }
}
