using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>Tests that set variables of this process's environment, and those that read what they set: one at a time.</summary>
[CollectionDefinition(Name)]
public sealed class EnvironmentCollection
{
    public const string Name = "environment";
}
