using System.Buffers;
using System.Collections.Concurrent;
using System.Reflection;
using System.Text.Json;

namespace IlgpuLoader.Hosting;

/// <summary>
/// The documents about models. Each is kept as bytes until its status is another, so that two hundred clients who ask every second cost the processor, which a load wants, next to nothing. Safe for any
/// thread.
/// </summary>
/// <param name="store">The models.</param>
/// <param name="devices">The devices.</param>
/// <param name="canControl">Whether a token is configured.</param>
internal sealed class StatusDocuments(IModelStore store, DeviceNumbers devices, bool canControl)
{
    private static readonly string Version = (typeof(StatusDocuments).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0").Split('+')[0];

    private readonly ConcurrentDictionary<string, KeptModel> _models = new(StringComparer.OrdinalIgnoreCase);
    // Where reads need no token, and where they do.
    private readonly KeptAll?[] _all = new KeptAll?[2];

    /// <summary>The devices alone.</summary>
    public byte[] Devices => devices.Json;

    /// <summary>A model, as an object without a schema.</summary>
    public byte[] OfModel(ModelStatus status)
    {
        if (_models.TryGetValue(status.Name, out var kept) && kept.Status == status)
        {
            return kept.Json;
        }

        var json = JsonSerializer.SerializeToUtf8Bytes(ModelDescriptions.Of(status), ApiJsonContext.Default.ModelDescription);
        _models[status.Name] = new KeptModel(status, json);
        return json;
    }

    /// <summary>The document of one model.</summary>
    public byte[] OfOne(ModelStatus status) => Write(json =>
    {
        json.WriteString("schema"u8, "ilgpu-loader/model/1"u8);
        json.WritePropertyName("model"u8);
        json.WriteRawValue(OfModel(status), skipInputValidation: true);
    });

    /// <summary>The document of all models and devices.</summary>
    /// <param name="needsToken">Whether reads need the token where it is asked for.</param>
    public byte[] OfAll(bool needsToken)
    {
        ref var last = ref _all[needsToken ? 1 : 0];
        var statuses = store.Models.Select(model => model.Status).ToArray();
        var numbers = devices.Json;
        if (Volatile.Read(ref last) is { } kept && ReferenceEquals(kept.Devices, numbers) && kept.Statuses.SequenceEqual(statuses))
        {
            return kept.Json;
        }

        var json = Write(json =>
        {
            json.WriteString("schema"u8, "ilgpu-loader/models/1"u8);
            json.WriteString("version"u8, Version);
            json.WriteBoolean("canControl"u8, canControl);
            json.WriteBoolean("needsToken"u8, needsToken);
            json.WriteStartArray("models"u8);
            foreach (var status in statuses)
            {
                json.WriteRawValue(OfModel(status), skipInputValidation: true);
            }

            json.WriteEndArray();
            json.WritePropertyName("devices"u8);
            json.WriteRawValue(numbers, skipInputValidation: true);
        });
        Volatile.Write(ref last, new KeptAll(statuses, numbers, json));
        return json;
    }

    private static byte[] Write(Action<Utf8JsonWriter> content)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            content(json);
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    private sealed record KeptModel(ModelStatus Status, byte[] Json);

    private sealed record KeptAll(ModelStatus[] Statuses, byte[] Devices, byte[] Json);
}
