namespace IlgpuLoader.Cli.Output;

/// <summary>The script that <c>completions</c> prints.</summary>
internal sealed record CompletionsDocument(string Shell, string Script) : Document("ilgpu-loader/completions/1");
