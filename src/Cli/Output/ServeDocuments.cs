namespace IlgpuLoader.Cli.Output;

/// <summary>What <c>serve</c> serves, written when it listens. <c>addresses</c> have the ports that the system has chosen where 0 was asked for.</summary>
internal sealed record ServeDocument(IReadOnlyList<string> Addresses, IReadOnlyList<ServedModel> Models, int ProcessId) : Document("ilgpu-loader/serve/1");

internal sealed record ServedModel(string Name, string? Path, string Device);
