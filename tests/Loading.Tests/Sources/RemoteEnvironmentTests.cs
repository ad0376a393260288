using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class RemoteEnvironmentTests
{
    [Theory]
    [InlineData("0", 1)]
    [InlineData("no", 1)]
    [InlineData("1", RemoteOptions.DefaultConnections)]
    [InlineData(null, RemoteOptions.DefaultConnections)]
    public void FromEnvironment_TransferIsTurnedOff_HasOneConnection(string? value, int connections) =>
        Assert.Equal(connections, RemoteOptions.FromEnvironment(name => name == "HF_HUB_ENABLE_HF_TRANSFER" ? value : null).Connections);
}
