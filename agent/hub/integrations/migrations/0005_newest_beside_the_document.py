import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("integrations", "0004_snapshots_without_keys")]

    operations = [
        migrations.AddField(
            model_name="siteintegration",
            name="owner",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="siteintegration",
            name="changes_since_pruning",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="siteintegration",
            name="newest_snapshot",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="siteintegration",
            name="receipts",
            field=models.JSONField(default=list),
        ),
        migrations.AddField(
            model_name="siteintegration",
            name="structure_digest",
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name="siteintegration",
            name="structure_since",
            field=models.DateTimeField(null=True),
        ),
        migrations.AlterField(
            model_name="content",
            name="family",
            field=models.CharField(choices=[("post_type", "Post type"), ("taxonomy", "Taxonomy")], max_length=16),
        ),
    ]
