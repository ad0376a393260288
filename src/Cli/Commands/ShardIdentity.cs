using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>
/// What processes that save a rank each call their save, without having met: a hash of what they save and how. Ranks of other weights, of another number of ranks or of other options never become one folder.
/// </summary>
internal static class ShardIdentity
{
    // 128 bits, as any name that must not be another's by chance.
    private const int HashDigits = 32;

    /// <summary>Makes the name.</summary>
    /// <param name="model">The model.</param>
    /// <param name="options">How it is saved.</param>
    /// <param name="plan">What fills it on this rank.</param>
    /// <param name="worldSize">The number of ranks.</param>
    public static string Of(OpenedModel model, ShardedStateSaveOptions options, ModulePlan plan, int worldSize)
    {
        var text = new StringBuilder();
        text.Append(
            CultureInfo.InvariantCulture,
            $"{typeof(ShardedStateLoader).Assembly.GetName().Version}\n{worldSize}\n{model.Context.DType.Name}\n{model.Context.Implementation}\n{model.Context.QuantizationMethod}\n{options.Pattern}\n{options.MaximumPartBytes}\n{options.IsProcessed}\n");
        foreach (var file in model.Checkpoint.Files)
        {
            // Ranks may run on several machines, each of which has the files under another path.
            var written = File.Exists(file.Path) ? File.GetLastWriteTimeUtc(file.Path).Ticks : 0;
            text.Append(CultureInfo.InvariantCulture, $"{Path.GetFileName(file.Path)}\n{file.Source.Length}\n{written}\n");
        }

        // Names and options of the choice of weights come down to what goes where.
        foreach (var parameter in plan.Parameters)
        {
            text.Append(CultureInfo.InvariantCulture, $"{parameter.Name}\n{string.Join('\n', parameter.Sources.Select(source => source.Weight))}\n");
        }

        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())))[..HashDigits];
    }
}
